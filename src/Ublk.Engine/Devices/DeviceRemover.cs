using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Interop;

namespace Ublk.Devices;

/// <summary>Removes devices, whoever serves them and whether anybody does.</summary>
public static class DeviceRemover
{
    // A program that only looked, such as udev, is gone by then.
    private static readonly TimeSpan PassingUse = TimeSpan.FromSeconds(2);

    // A stop waits for requests under way; with force, a worker that does not answer them by then is killed.
    private static readonly TimeSpan ForcedStopTime = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan EndTime = TimeSpan.FromSeconds(30);

    /// <summary>Removes a device.</summary>
    /// <param name="id">The device.</param>
    /// <param name="force">Whether to remove it although it is mounted, held or open, and to kill a worker that hangs.</param>
    /// <param name="noWait">Whether to return as soon as the disk is gone, while the worker still ends.</param>
    /// <param name="step">Told each step in a sentence, on the calling thread.</param>
    /// <param name="cancellation">Gives up between steps.</param>
    /// <exception cref="UblkException">There is no such device, it is in use, or the driver refuses.</exception>
    public static void Remove(int id, bool force, bool noWait, Action<string>? step, CancellationToken cancellation)
    {
        using ControlDevice control = new();
        int result = control.TryGetInfo(id, out UblkDeviceInfo info);
        if (result < 0)
        {
            throw DriverError.ForCommand(-result, "GET_DEV_INFO", id);
        }

        // A foreign server may serve other devices and live on; only a worker of ours ends with its device.
        bool isOurs = StateDirectory.TryRead(id)?.Specification.Cookie == info.ServerCookie;
        step?.Invoke($"Stopping device {id}.");
        if (force)
        {
            StopByForce(control, id, info.ServerPid);
        }
        else
        {
            StopUnused(control, id, cancellation);
        }

        cancellation.ThrowIfCancellationRequested();
        step?.Invoke($"Deleting device {id}.");
        Delete(control, id, waitForUsers: !force && !noWait);

        if (!noWait && isOurs && info.ServerPid > 0)
        {
            step?.Invoke($"Waiting for process {info.ServerPid} to end.");
            AwaitWorker(id, info.ServerPid);
            AwaitId(control, id);
        }

        StateDirectory.Delete(id, info.ServerCookie);
    }

    private static void StopUnused(ControlDevice control, int id, CancellationToken cancellation)
    {
        bool canTry = control.Features.HasFlag(UblkFeatures.SafeStopDev);
        long deadline = Environment.TickCount64 + (long)PassingUse.TotalMilliseconds;
        while (true)
        {
            string? users = FindUsers(id);
            int result = users is not null ? -Libc.EBUSY : canTry ? control.TryStop(id, EndTime) : StopUnopened(control, id);
            if (result >= 0 || result == -Libc.ENODEV)
            {
                return;
            }

            if (result == -Libc.ETIMEDOUT)
            {
                throw StillStopping(id);
            }

            if (result != -Libc.EBUSY)
            {
                throw DriverError.ForCommand(-result, "STOP_DEV", id);
            }

            if (Environment.TickCount64 > deadline)
            {
                throw new UblkException(UblkError.DeviceInUse,
                    $"/dev/ublkb{id} is in use: {users ?? "somebody has it open"}. Unmount or close it first, or use -Force, "
                        + "with which its users lose what they have not written yet.",
                    Libc.EBUSY, "stop", id);
            }

            if (cancellation.WaitHandle.WaitOne(TimeSpan.FromMilliseconds(50)))
            {
                cancellation.ThrowIfCancellationRequested();
            }
        }
    }

    // The best check of kernels before 7.0: exclusive use is refused by the kernel, other openers were looked for.
    private static int StopUnopened(ControlDevice control, int id)
    {
        using (SafeFileHandle file = Libc.Open($"/dev/ublkb{id}", Libc.O_RDONLY | Libc.O_EXCL))
        {
            if (file.IsInvalid && Libc.LastErrno == Libc.EBUSY)
            {
                return -Libc.EBUSY;
            }
        }

        return control.TryStop(id, EndTime, evenIfOpen: true);
    }

    private static UblkException StillStopping(int id) => new(UblkError.TimedOut,
        $"Device {id} is being stopped, but after {EndTime.TotalSeconds} s its requests are not finished. Wait for it, or use "
            + "-Force, which kills a worker that hangs.",
        Libc.ETIMEDOUT, "stop", id);

    private static void StopByForce(ControlDevice control, int id, int serverPid)
    {
        // The driver's stop cannot be interrupted, so it gets a ring of its own that a hanging worker may keep busy.
        Task stop = Task.Run(() =>
        {
            using ControlDevice own = new();
            own.Stop(id, Timeout.InfiniteTimeSpan);
        });
        if (!((IAsyncResult)stop).AsyncWaitHandle.WaitOne(ForcedStopTime) && serverPid > 0)
        {
            _ = Libc.Kill(serverPid, Libc.SIGKILL);
        }

        stop.GetAwaiter().GetResult();
    }

    private static string? FindUsers(int id)
    {
        IEnumerable<string> users =
        [
            .. DeviceUsers.MountPoints(id).Select(path => $"mounted on {path}"),
            .. DeviceUsers.Holders(id).Select(holder => $"held by {holder}"),
            .. DeviceUsers.Openers(id).Select(process => $"open in {process}"),
        ];
        return users.Any() ? string.Join(", ", users) : null;
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
            control.Delete(id, EndTime);
        }
        catch (UblkException exception) when (exception.Error == UblkError.DeviceNotFound || !DeviceInventory.HasCharDevice(id))
        {
            // Its worker or another caller was quicker, or only its users keep the id now.
        }
    }

    private static void AwaitWorker(int id, int processId)
    {
        if (!DeviceInventory.AwaitDeath(processId, EndTime))
        {
            throw new UblkException(UblkError.TimedOut,
                $"Device {id} is removed, but its worker, process {processId}, has not ended.", Libc.ETIMEDOUT, "wait", id);
        }
    }

    // So that the id can be used again at once, unless users of the removed disk hold it.
    private static void AwaitId(ControlDevice control, int id)
    {
        long deadline = Environment.TickCount64 + (long)PassingUse.TotalMilliseconds;
        while (control.TryGetInfo(id, out _) >= 0 && Environment.TickCount64 < deadline)
        {
            Thread.Sleep(5);
        }
    }
}
