using System.Management.Automation;
using Ublk.Devices;
using Ublk.Lifecycle;

namespace Ublk.PowerShell.Commands;

/// <summary>Removes devices, of any server and without one.</summary>
[Cmdlet(VerbsCommon.Remove, "UblkDevice", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class RemoveUblkDeviceCommand : UblkEndCommand
{
    // Each has a thread, which waits most of the time for the driver.
    private const int MaxRemovals = 32;

    private readonly Queue<DeviceRemoval> _removals = new();

    /// <summary>Returns while the worker still ends.</summary>
    [Parameter]
    public SwitchParameter NoWait { get; set; }

    /// <inheritdoc/>
    protected override string Action => "Remove ublk device";

    /// <inheritdoc/>
    protected override void EndProcessing() => FinishAll();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        while (_removals.TryDequeue(out DeviceRemoval? removal))
        {
            removal.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        if (!Force && ServerOfOther(id) is { } server && !Asks(
            $"/dev/ublkb{id} belongs to another server, process {server}. {Action} {id}?",
            () => new UblkException(UblkError.DeviceForeign,
                $"Device {id} belongs to another server, process {server}. Use its own tools, or Remove-UblkDevice {id} -Force.",
                deviceId: id)))
        {
            return;
        }

        // Force takes a disk from those above it, so these must be gone before.
        if (Force)
        {
            base.Apply(id, step);
            return;
        }

        if (_removals.Count == MaxRemovals)
        {
            Finish(_removals.Dequeue());
        }

        if (_removals.Any(removal => removal.Id == id))
        {
            FinishAll();
        }

        _removals.Enqueue(new DeviceRemoval(id, NoWait, PassThru ? DeviceInventory.Find(id) : null, StopToken)
        {
            FollowsOthers = _removals.Count > 0,
        });
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

    private void FinishAll()
    {
        while (_removals.TryDequeue(out DeviceRemoval? removal))
        {
            Finish(removal);
        }
    }

    private void Finish(DeviceRemoval removal)
    {
        using (removal)
        {
            Attempt(removal.Id, () => WithProgress($"{Action}: /dev/ublkb{removal.Id}", step => Finish(removal, step)));
        }
    }

    private void Finish(DeviceRemoval removal, Action<string> step)
    {
        try
        {
            removal.Finish(step);
        }
        catch (UblkException exception) when (exception.Error == UblkError.DeviceInUse)
        {
            // A disk that came before it may have used it, and is gone by now.
            if (removal.FollowsOthers)
            {
                base.Apply(removal.Id, step);
            }
            else
            {
                EndIfWanted(removal.Id, exception, step);
            }

            return;
        }

        if (removal.Removed is { } device)
        {
            WriteObject(device);
        }
    }

    // The process that serves a device of another server; null for our own, and for one that is not served.
    private static int? ServerOfOther(int id) =>
        DeviceInventory.Find(id) is { IsComplete: true, Target: null, ProcessId: { } server } ? server : null;
}
