using System.Management.Automation;

namespace Ublk.PowerShell.Commands;

/// <summary>What the cmdlets have in common that do something with a snapshot which is there.</summary>
public abstract class UblkImageSnapshotCommand : UblkImageCommand
{
    /// <summary>The image, taken as it is.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [Alias("PSPath", "FullName")]
    [ArgumentCompleter(typeof(ImagePathCompleter))]
    public string Path { get; set; } = "";

    /// <summary>The snapshot, by id or name.</summary>
    [Parameter(Mandatory = true, Position = 1, ValueFromPipelineByPropertyName = true)]
    [Alias("Id")]
    [ArgumentCompleter(typeof(SnapshotCompleter))]
    public string Snapshot { get; set; } = "";

    /// <inheritdoc/>
    protected override void ProcessRecord() => Attempt(Snapshot, () => Process(FilePaths.ResolveExisting(SessionState, Path)));

    /// <summary>Runs the operation.</summary>
    protected abstract void Process(string image);
}
