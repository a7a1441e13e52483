using System.Management.Automation;
using Ublk.Devices;
using Ublk.Launching;

namespace Ublk.PowerShell.Commands;

/// <summary>Merges the images of disks in use with their backing files.</summary>
[Cmdlet(VerbsData.Merge, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(UblkDevice))]
public sealed class MergeUblkDeviceCommand : UblkDeviceCommand
{
    /// <summary>Copies the data of the backing file into the image, in place of the reverse.</summary>
    [Parameter]
    public SwitchParameter Pull { get; set; }

    /// <inheritdoc/>
    protected override string Action => Pull
        ? "Copy the data of the backing file into the image"
        : "Merge the image into its backing file, which changes every other image that has it as its backing file, and remove the image";

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        using (DeviceMerge merge = new(id, WorkerDirectory, step, ShowPercent, StopToken))
        {
            foreach (string warning in Pull ? merge.Pull() : merge.Commit())
            {
                WriteWarning(warning);
            }
        }

        WriteDevice(id);
    }
}
