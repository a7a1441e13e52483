using System.Management.Automation;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Makes a disk what it was when a snapshot was taken.</summary>
[Cmdlet(VerbsData.Restore, "UblkImage", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(UblkImage))]
public sealed class RestoreUblkImageCommand : UblkImageSnapshotCommand
{
    /// <summary>Emits the image.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void Process(string image)
    {
        if (!ShouldProcess(image, $"Go back to snapshot '{Snapshot}', and lose all that was written since"))
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
