using System.Management.Automation;
using Ublk.Devices;
using Ublk.Lifecycle;

namespace Ublk.PowerShell.Commands;

/// <summary>Stops devices: the disk goes, the device stays to be started again.</summary>
[Cmdlet(VerbsLifecycle.Stop, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class StopUblkDeviceCommand : UblkEndCommand
{
    /// <inheritdoc/>
    protected override string Action => "Stop ublk device";

    /// <inheritdoc/>
    protected override void End(int id, bool force, Action<string> step)
    {
        DeviceStopper.Stop(id, force, step, StopToken);
        WriteDevice(id);
    }
}
