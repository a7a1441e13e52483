using System.Management.Automation;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Launching;

namespace Ublk.PowerShell.Commands;

/// <summary>Moves disks in use into new files.</summary>
[Cmdlet(VerbsCommon.Move, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class MoveUblkDeviceCommand : UblkDeviceCommand
{
    /// <summary>The new file, or an existing folder, in which it gets the name of the former.</summary>
    [Parameter(Mandatory = true, Position = 1, ValueFromPipelineByPropertyName = true)]
    [Alias("Destination")]
    [ArgumentCompleter(typeof(ImagePathCompleter))]
    public string DestinationPath { get; set; } = "";

    /// <summary>The format of the new file. By default it follows from the extension of its name.</summary>
    [Parameter]
    public ImageFormat? Format { get; set; }

    /// <inheritdoc/>
    protected override string Action => $"Move the disk to {DestinationPath}";

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        string path = FilePaths.Resolve(SessionState, DestinationPath);
        if (Directory.Exists(path) && DeviceInventory.Find(id)?.BackingPath is { } former)
        {
            path = System.IO.Path.Combine(path, System.IO.Path.GetFileName(former));
        }

        foreach (string warning in DeviceMove.Run(
            id, path, Format ?? FormatOfName.Of(path), WorkerDirectory, step, ShowPercent, StopToken))
        {
            WriteWarning(warning);
        }

        WriteDevice(id);
    }
}
