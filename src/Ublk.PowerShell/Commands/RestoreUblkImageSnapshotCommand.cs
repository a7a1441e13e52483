using System.Management.Automation;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Restores images to a snapshot. Data written since is lost.</summary>
[Cmdlet(VerbsData.Restore, "UblkImageSnapshot", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(UblkImage))]
public sealed class RestoreUblkImageSnapshotCommand : UblkImageSnapshotCommand
{
    /// <summary>Emits the image.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void Process(string image)
    {
        if (!ShouldProcess(image, $"Restore snapshot '{Snapshot}' and lose all data written since"))
        {
            return;
        }

        Run(new RestoreSnapshot { Path = image, Snapshot = Snapshot }, $"Restoring {image}");
        if (PassThru)
        {
            WriteImage(image);
        }
    }
}
