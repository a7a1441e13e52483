using System.Globalization;
using System.Management.Automation;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Takes snapshots of images.</summary>
[Cmdlet(VerbsData.Checkpoint, "UblkImage", DefaultParameterSetName = "Path", SupportsShouldProcess = true)]
[OutputType(typeof(UblkImageSnapshot))]
public sealed class CheckpointUblkImageCommand : UblkImagePathCommand
{
    /// <summary>The snapshot's name; by default the time.</summary>
    [Parameter(Position = 1)]
    [NoScriptBlock]
    public string? Name { get; set; }

    /// <inheritdoc/>
    protected override void Process(string image)
    {
        string name = Name ?? DateTime.Now.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);
        if (ShouldProcess(image, $"Take snapshot '{name}'"))
        {
            Run(new CreateSnapshot { Path = image, Name = name }, $"Taking a snapshot of {image}");
            WriteObject(ImageInspector.Snapshots(image)[^1]);
        }
    }
}
