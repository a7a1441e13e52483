using System.Management.Automation;
using Ublk.Control;
using Ublk.Devices;

namespace Ublk.PowerShell.Commands;

/// <summary>Gives devices a new worker whose own is gone.</summary>
[Cmdlet(VerbsData.Restore, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class RestoreUblkDeviceCommand : UblkDeviceCommand
{
    /// <inheritdoc/>
    protected override string Action => "Restore ublk device";

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        Serve(id, step, DeviceState.Dead, DeviceState.Quiesced, DeviceState.FailIo);
        WriteDevice(id);
    }
}
