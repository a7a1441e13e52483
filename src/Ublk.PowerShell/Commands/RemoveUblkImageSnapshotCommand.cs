using System.Management.Automation;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Removes snapshots from images.</summary>
[Cmdlet(VerbsCommon.Remove, "UblkImageSnapshot", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
public sealed class RemoveUblkImageSnapshotCommand : UblkImageSnapshotCommand
{
    /// <inheritdoc/>
    protected override void Process(string image)
    {
        if (ShouldProcess(image, $"Remove snapshot '{Snapshot}'"))
        {
            Run(new RemoveSnapshot { Path = image, Snapshot = Snapshot }, $"Removing a snapshot of {image}");
        }
    }
}
