using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Interop;

namespace Ublk.Lifecycle;

/// <summary>Stops devices: the disk goes, the device stays and can be started again.</summary>
internal static class DeviceStopper
{
    // A program that only looked, such as udev, is gone by then.
    private static readonly TimeSpan TransientUseTimeout = TimeSpan.FromSeconds(2);

    // A stop waits for requests in flight; with force, a worker that does not answer them by then is killed.
    private static readonly TimeSpan ForcedStopTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Stops a device and waits for its worker to end. One that is not served stays as it is.</summary>
    /// <param name="id">The device.</param>
    /// <param name="force">Whether to stop it although it is mounted, held or open, and to kill a worker that hangs.</param>
    /// <param name="step">Called with a sentence for each step, on the calling thread.</param>
    /// <param name="cancellation">Gives up between steps.</param>
    /// <exception cref="UblkException">There is no such device, it is not ours, it is in use, or the driver refuses.</exception>
    public static void Stop(int id, bool force, Action<string>? step, CancellationToken cancellation)
    {
        using ControlDevice control = new();
        DeviceRecord record = DeviceTransitions.RecordOf(control, id);
        if (control.TryGetInfo(id, out UblkDeviceInfo info) < 0 || info.State == (ushort)DriverState.Dead)
        {
            return;
        }

        step?.Invoke($"Stopping device {id}.");
        Stop(control, info, force, cancellation);
        if (info.ServerPid > 0)
        {
            step?.Invoke($"Waiting for process {info.ServerPid} to end.");
            DeviceTransitions.AwaitWorker(id, info.ServerPid, "stopped");
        }

        DeviceTransitions.AwaitSupervisor(record);
        DeviceTransitions.MarkEnded(info);
    }

    /// <summary>Stops a device of any server, without waiting for the server to end.</summary>
    internal static void Stop(ControlDevice control, UblkDeviceInfo info, bool force, CancellationToken cancellation)
    {
        if (force)
        {
            StopByForce(control, info);
        }
        else
        {
            StopUnused(control, info, cancellation);
        }
    }

    private static void StopUnused(ControlDevice control, UblkDeviceInfo info, CancellationToken cancellation)
    {
        int id = (int)info.DeviceId;
        bool canTry = control.Features.HasFlag(UblkFeatures.SafeStopDev);
        Deadline deadline = new(TransientUseTimeout);
        while (true)
        {
            // The driver refuses to stop an open disk, so its users are only looked for afterwards. It knows nothing of the users of a
            // disk that is gone (ENODEV). Before 7.0 it stops open disks as well.
            string? users = canTry ? null : DeviceUsers.Find(id);
            if (DeviceIdentity.IsReplaced(control, id, info.ServerCookie))
            {
                return;
            }

            int result = users is not null ? -Libc.EBUSY
                : canTry ? control.TryStop(id, DeviceTransitions.EndTimeout)
                : StopUnopened(control, id);
            if (result == -Libc.ENODEV && canTry)
            {
                users = DeviceUsers.Find(id);
                result = users is null ? result : -Libc.EBUSY;
            }

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

            if (deadline.IsOver)
            {
                throw new UblkException(UblkError.DeviceInUse,
                    $"/dev/ublkb{id} is in use: "
                        + $"{users ?? DeviceUsers.Find(id) ?? DeviceUsers.FindElsewhere(id) ?? "another process has it open"}. "
                        + "Unmount or close it first, or use -Force: its users then lose data that they have not written yet.",
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

        return control.TryStop(id, DeviceTransitions.EndTimeout, evenIfOpen: true);
    }

    private static UblkException StillStopping(int id) => new(UblkError.TimedOut,
        $"Device {id} is being stopped, but its requests are not finished after {DeviceTransitions.EndTimeout.TotalSeconds} s. "
            + "Wait for it, or use -Force, which kills a worker that hangs.",
        Libc.ETIMEDOUT, "stop", id);

    private static void StopByForce(ControlDevice control, UblkDeviceInfo info)
    {
        if (DeviceIdentity.IsReplaced(control, (int)info.DeviceId, info.ServerCookie))
        {
            return;
        }

        // The driver's stop cannot be interrupted, so it gets a ring of its own that a hanging worker may keep busy.
        Task stop = Task.Run(() =>
        {
            using ControlDevice own = new();
            own.Stop((int)info.DeviceId, Timeout.InfiniteTimeSpan);
        });
        if (!((IAsyncResult)stop).AsyncWaitHandle.WaitOne(ForcedStopTimeout) && IsOwnersProcess(info))
        {
            _ = Libc.Kill(info.ServerPid, Libc.SIGKILL);
        }

        stop.GetAwaiter().GetResult();
    }

    /// <summary>Whether the server is a process of the device's owner.</summary>
    /// <remarks>
    /// Older kernels accept any process id that an ordinary user names as the server, so root could be made to kill it,
    /// or to wait for its end.
    /// </remarks>
    internal static bool IsOwnersProcess(UblkDeviceInfo info)
    {
        using SafeFileHandle process = Libc.Open($"/proc/{info.ServerPid}", Libc.O_RDONLY);
        return !process.IsInvalid && Libc.Statx(process, out Libc.StatxBuffer state) == 0
            && (info.OwnerUid == 0 || state.UserId == info.OwnerUid);
    }
}
