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
    protected override void Apply(int id, Action<string> step)
    {
        if (Force || ServerOfOther(id) is not { } server || Asks(
            $"/dev/ublkb{id} belongs to another server, process {server}. {Action} {id}?",
            () => new UblkException(UblkError.DeviceForeign,
                $"Device {id} belongs to another server, process {server}. Use its own tools, or Remove-UblkDevice {id} -Force.",
                deviceId: id)))
        {
            base.Apply(id, step);
        }
    }

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

    // The process that serves a device of another server; null for our own, and for one that is not served.
    private static int? ServerOfOther(int id) =>
        DeviceInventory.Find(id) is { IsComplete: true, Target: null, ProcessId: { } server } ? server : null;
}
