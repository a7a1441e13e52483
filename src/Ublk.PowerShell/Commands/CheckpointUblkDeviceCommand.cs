using System.Management.Automation;
using Ublk.Devices;
using Ublk.Launching;

namespace Ublk.PowerShell.Commands;

/// <summary>Takes snapshots of disks in use, all at one instant.</summary>
[Cmdlet(VerbsData.Checkpoint, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class CheckpointUblkDeviceCommand : UblkDeviceCommand
{
    private readonly List<int> _ids = [];

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
    protected override void Apply(int id, Action<string> step)
    {
        if (!_ids.Contains(id))
        {
            _ids.Add(id);
        }
    }

    /// <inheritdoc/>
    protected override void EndProcessing()
    {
        if (_ids.Count == 0)
        {
            return;
        }

        Attempt(_ids, () =>
        {
            string[] paths = [.. OverlayPath.Select(GetUnresolvedProviderPathFromPSPath)];
            if (paths.Length != _ids.Count || paths.Distinct().Count() != paths.Length)
            {
                throw new UblkException(UblkError.InvalidArgument,
                    $"Each disk needs a new image of its own: give {_ids.Count} different paths with -OverlayPath.");
            }

            WithProgress(Action, step =>
            {
                foreach (string warning in DeviceSnapshot.Take(
                    [.. _ids.Zip(paths)], Freeze, WorkerDirectory, step, StopToken))
                {
                    WriteWarning(warning);
                }
            });
            _ids.ForEach(WriteDevice);
        });
    }
}
