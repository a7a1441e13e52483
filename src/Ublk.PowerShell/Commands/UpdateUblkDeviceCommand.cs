using System.Management.Automation;
using Ublk.Devices;
using Ublk.Lifecycle;

namespace Ublk.PowerShell.Commands;

/// <summary>Replaces the workers of live devices by new ones, while requests wait.</summary>
[Cmdlet(VerbsData.Update, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class UpdateUblkDeviceCommand : UblkDeviceCommand
{
    /// <inheritdoc/>
    protected override string Action => "Update ublk device";

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        DeviceSuspender.Suspend(id, step, StopToken);
        Serve(id, step, acceptFiles: false, DeviceState.Suspended);
        WriteDevice(id);
    }
}
