using System.Management.Automation;
using Ublk.Control;
using Ublk.Devices;

namespace Ublk.PowerShell.Commands;

/// <summary>Starts devices that were stopped, or lost their disk with their worker.</summary>
[Cmdlet(VerbsLifecycle.Start, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class StartUblkDeviceCommand : UblkDeviceCommand
{
    /// <inheritdoc/>
    protected override string Action => "Start ublk device";

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        Serve(id, step, DeviceState.Dead);
        WriteDevice(id);
    }
}
