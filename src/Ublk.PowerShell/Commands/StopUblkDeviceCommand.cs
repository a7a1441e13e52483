using System.Management.Automation;
using Ublk.Devices;
using Ublk.Lifecycle;

namespace Ublk.PowerShell.Commands;

/// <summary>Stops devices: the disk goes, the device stays to be started again.</summary>
[Cmdlet(VerbsLifecycle.Stop, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class StopUblkDeviceCommand : UblkForceCommand
{
    /// <inheritdoc/>
    protected override string Action => "Stop ublk device";

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        DeviceStopper.Stop(id, Force, step, StopToken);
        WriteDevice(id);
    }
}
