using Ublk.Control;
using Ublk.Devices;
using Ublk.Interop;

namespace Ublk.Lifecycle;

/// <summary>Removes devices, of any server and without one.</summary>
internal static class DeviceRemover
{
    // The driver frees the id a moment after the last user of the removed disk.
    private static readonly TimeSpan IdTimeout = TimeSpan.FromSeconds(2);

    /// <summary>Removes a device.</summary>
    /// <param name="id">The device.</param>
    /// <param name="force">Whether to remove it although it is mounted, held or open, and to kill a worker that hangs.</param>
    /// <param name="noWait">Whether to return as soon as the disk is gone, while the worker still ends.</param>
    /// <param name="step">Called with a sentence for each step, on the calling thread.</param>
    /// <param name="cancellation">Gives up between steps.</param>
    /// <exception cref="UblkException">There is no such device, it is in use, or the driver refuses.</exception>
    public static void Remove(int id, bool force, bool noWait, Action<string>? step, CancellationToken cancellation)
    {
        using ControlDevice control = new();
        Remove(control, id, force, noWait, step, cancellation);
    }

    /// <summary>Removes a device through an open control node.</summary>
    internal static void Remove(
        ControlDevice control, int id, bool force, bool noWait, Action<string>? step, CancellationToken cancellation)
    {
        UblkDeviceInfo info = control.GetInfo(id);

        // A foreign server may serve other devices and live on; only a worker of ours ends with its device.
        StateDirectory state = StateDirectory.Of(info.OwnerUid);
        DeviceRecord? record = state.TryRead(id);
        bool isOurs = record?.Specification.Cookie == info.ServerCookie;
        step?.Invoke($"Stopping device {id}.");
        DeviceStopper.Stop(control, info, force, cancellation);

        cancellation.ThrowIfCancellationRequested();
        step?.Invoke($"Deleting device {id}.");
        DeviceSymlink.Delete(control, id, info.ServerCookie);
        if (!DeviceIdentity.IsReplaced(control, id, info.ServerCookie))
        {
            Delete(control, id, waitForUsers: !force && !noWait);
        }

        if (!noWait && isOurs && info.ServerPid > 0)
        {
            step?.Invoke($"Waiting for process {info.ServerPid} to end.");
            if (DeviceStopper.IsOwnersProcess(info))
            {
                DeviceTransitions.AwaitWorker(id, info.ServerPid, "removed");
            }

            // The content of another user's record is not trusted.
            if (info.OwnerUid == Libc.GetEffectiveUserId())
            {
                DeviceTransitions.AwaitSupervisor(record!);
            }

            AwaitId(control, id, info.ServerCookie);
        }

        string? failure = isOurs && state.TryRead(id) is { } last && last.Specification.Cookie == info.ServerCookie ? last.Failure : null;
        state.Delete(id, info.ServerCookie);
        if (failure is not null)
        {
            throw new UblkException(UblkError.OperationFailed, $"Device {id} is removed, but its worker failed at the end: {failure}",
                operation: "flush", deviceId: id);
        }
    }

    private static void Delete(ControlDevice control, int id, bool waitForUsers)
    {
        // The driver keeps the id as long as somebody holds the disk: a mounted file system would make this wait for ever.
        if (!waitForUsers && control.TryDeleteAsync(id) >= 0)
        {
            return;
        }

        try
        {
            control.Delete(id, DeviceTransitions.EndTimeout);
        }
        catch (UblkException exception) when (exception.Error == UblkError.DeviceNotFound || !DeviceInventory.HasCharDevice(id))
        {
            // Its worker or another caller was quicker, or only its users keep the id now.
        }
    }

    // So that the id can be used again at once, unless users of the removed disk hold it.
    private static void AwaitId(ControlDevice control, int id, ulong cookie) =>
        new Deadline(IdTimeout).Wait(() => !DeviceIdentity.Exists(control, id, cookie));
}
