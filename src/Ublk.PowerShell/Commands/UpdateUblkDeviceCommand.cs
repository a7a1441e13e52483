using System.Management.Automation;
using Ublk.Devices;
using Ublk.Lifecycle;
using Ublk.Registration;

namespace Ublk.PowerShell.Commands;

/// <summary>
/// Replaces the workers of live devices by new ones, while requests wait. Registered devices start with this module's from then on.
/// </summary>
[Cmdlet(VerbsData.Update, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class UpdateUblkDeviceCommand : UblkDeviceCommand
{
    /// <inheritdoc/>
    protected override string Action => "Update ublk device";

    /// <inheritdoc/>
    protected override void BeginProcessing() => Attempt(DeviceRegistrar.Folder, () =>
    {
        if (UnitTemplate.IsOfAnotherModule(WorkerDirectory) && ShouldProcess(DeviceRegistrar.Folder, "Update registered devices"))
        {
            DeviceRegistrar.Renew(WorkerDirectory);
        }
    });

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        DeviceSuspender.Suspend(id, step, StopToken);
        Serve(id, step, acceptFiles: false, DeviceState.Suspended);
        WriteDevice(id);
    }
}
