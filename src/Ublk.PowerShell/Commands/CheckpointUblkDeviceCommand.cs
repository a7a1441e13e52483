using System.Management.Automation;
using Ublk.Devices;
using Ublk.Launching;

namespace Ublk.PowerShell.Commands;

/// <summary>Takes snapshots of disks in use, all at one instant.</summary>
[Cmdlet(VerbsData.Checkpoint, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class CheckpointUblkDeviceCommand : UblkDeviceGroupCommand
{
    /// <summary>The new image of each disk, in the order of the disks. It takes the writes from then on.</summary>
    [Parameter(Mandatory = true)]
    [ValidateNotNullOrEmpty]
    public string[] OverlayPath { get; set; } = [];

    /// <summary>Freezes the file systems on the disks meanwhile.</summary>
    [Parameter]
    public SwitchParameter Freeze { get; set; }

    /// <inheritdoc/>
    protected override string Action => "Checkpoint ublk device";

    /// <inheritdoc/>
    private protected override string PathParameter => nameof(OverlayPath);

    /// <inheritdoc/>
    private protected override IEnumerable<string> PathsFor(IReadOnlyList<int> ids) =>
        OverlayPath.Select(GetUnresolvedProviderPathFromPSPath);

    /// <inheritdoc/>
    private protected override void Apply(IReadOnlyList<(int Id, string Path)> disks, Action<string> step)
    {
        foreach (string warning in DeviceSnapshot.Take(disks, Freeze, WorkerDirectory, step, StopToken))
        {
            WriteWarning(warning);
        }
    }
}
