using System.Management.Automation;
using Ublk.Control;
using Ublk.Devices;

namespace Ublk.PowerShell.Commands;

/// <summary>Gives devices a new worker whose own is gone.</summary>
[Cmdlet(VerbsData.Restore, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class RestoreUblkDeviceCommand : UblkDeviceCommand
{
    /// <summary>Takes the file behind the disk as the right one, although it looks like another one than before.</summary>
    [Parameter]
    public SwitchParameter AcceptFile { get; set; }

    /// <inheritdoc/>
    protected override string Action => "Restore ublk device";

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        Serve(id, step, AcceptFile, [DeviceState.Dead, DeviceState.Quiesced, DeviceState.FailIo]);
        WriteDevice(id);
    }
}
