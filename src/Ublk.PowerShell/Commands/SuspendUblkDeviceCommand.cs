using System.Management.Automation;
using Ublk.Devices;
using Ublk.Lifecycle;

namespace Ublk.PowerShell.Commands;

/// <summary>Suspends devices: the disks stay, and requests wait until Resume-UblkDevice.</summary>
[Cmdlet(VerbsLifecycle.Suspend, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class SuspendUblkDeviceCommand : UblkDeviceCommand
{
    /// <inheritdoc/>
    protected override string Action => "Suspend ublk device";

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        DeviceSuspender.Suspend(id, step, StopToken);
        WriteDevice(id);
    }
}
