using System.Management.Automation;
using Ublk.Devices;
using Ublk.Lifecycle;

namespace Ublk.PowerShell.Commands;

/// <summary>Removes devices, of any server and without one.</summary>
[Cmdlet(VerbsCommon.Remove, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class RemoveUblkDeviceCommand : UblkEndCommand
{
    /// <summary>Returns while the worker still ends.</summary>
    [Parameter]
    public SwitchParameter NoWait { get; set; }

    /// <inheritdoc/>
    protected override string Action => "Remove ublk device";

    /// <inheritdoc/>
    protected override void End(int id, bool force, Action<string> step)
    {
        UblkDevice? device = PassThru ? DeviceInventory.Find(id) : null;
        DeviceRemover.Remove(id, force, NoWait, step, StopToken);
        if (device is not null)
        {
            WriteObject(device);
        }
    }
}
