using System.Management.Automation;

namespace Ublk.PowerShell.Commands;

/// <summary>What the cmdlets have in common that do something with a persistent bitmap which is there.</summary>
public abstract class UblkImageBitmapCommand : UblkImageCommand
{
    /// <summary>The image, taken as it is.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [Alias("PSPath", "FullName")]
    [ArgumentCompleter(typeof(ImagePathCompleter))]
    public string Path { get; set; } = "";

    /// <summary>The bitmap, by name.</summary>
    [Parameter(Mandatory = true, Position = 1, ValueFromPipelineByPropertyName = true)]
    [Alias("Name")]
    [ArgumentCompleter(typeof(BitmapCompleter))]
    public string Bitmap { get; set; } = "";

    /// <inheritdoc/>
    protected override void ProcessRecord() => Attempt(Bitmap, () => Process(FilePaths.ResolveExisting(SessionState, Path)));

    /// <summary>Runs the operation.</summary>
    protected abstract void Process(string image);
}
