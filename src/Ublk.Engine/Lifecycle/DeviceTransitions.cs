using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Interop;
using Ublk.Processes;
using Ublk.Specification;

namespace Ublk.Lifecycle;

/// <summary>Where a device is in its life, and the waits between one part of it and the next.</summary>
internal static class DeviceTransitions
{
    /// <summary>How long the driver or a process may take to end what it was asked to end.</summary>
    public static readonly TimeSpan EndTimeout = TimeSpan.FromSeconds(30);

    /// <summary>The states of a disk whose worker is gone and that takes another one.</summary>
    public static IReadOnlyCollection<DriverState> Waiting { get; } = [DriverState.Quiesced, DriverState.FailIo];

    /// <summary>The record of a device that is there and that a worker of ours made for the caller.</summary>
    /// <exception cref="UblkException">There is no such device, it is another user's, or it has no record.</exception>
    public static DeviceRecord RecordOf(ControlDevice control, int id)
    {
        UblkDeviceInfo info = control.GetInfo(id);
        RequireOwner(info);
        DeviceRecord? record = StateDirectory.Own.TryRead(id);
        return record?.Specification.Cookie == info.ServerCookie
            ? record
            : throw new UblkException(UblkError.DeviceForeign,
                $"Device {id} was made by another server, or its record in {StateDirectory.Own.Path} is lost, so it cannot be served. "
                    + $"Remove it: Remove-UblkDevice {id} -Force",
                deviceId: id);
    }

    /// <summary>The record of a device that a worker of ours serves.</summary>
    /// <exception cref="UblkException">There is no such device, it has no record, or no worker serves it.</exception>
    /// <param name="control">The driver.</param>
    /// <param name="id">The device.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <param name="mayBeMirrored">
    /// Whether its disk may be in two places. Its worker writes the record by itself then, so no other process may.
    /// </param>
    public static DeviceRecord LiveRecordOf(ControlDevice control, int id, CancellationToken cancellation, bool mayBeMirrored = false)
    {
        DeviceRecord record = RecordOf(control, id);
        DriverState state = AwaitServerGone(control, id, cancellation);
        return state != DriverState.Live ? throw WrongState(id, DeviceStates.Of(state, record))
            : record.Mirror is { IsInSync: true } mirror && !mayBeMirrored ? throw mirror.Refusal(id)
            : record;
    }

    /// <summary>Checks that a device is what a record read earlier says.</summary>
    /// <remarks>
    /// A command that was killed no longer has the device's lock, but its worker finishes the step that it was given. So this is
    /// meaningful only once the worker has begun another command.
    /// </remarks>
    /// <exception cref="UblkException">Its disk or its filters were changed since.</exception>
    public static void RequireUnchanged(DeviceRecord record)
    {
        int id = record.Specification.Id!.Value;
        if (StateDirectory.Own.TryRead(id)?.HasSameDisk(record) != true)
        {
            throw new UblkException(UblkError.DeviceStateInvalid,
                $"Device {id} was changed by another command meanwhile. Try again.", deviceId: id);
        }
    }

    /// <summary>Waits until the driver has noticed that a server is dead.</summary>
    /// <returns>The device's state: live only if its server lives.</returns>
    public static DriverState AwaitServerGone(ControlDevice control, int id, CancellationToken cancellation)
    {
        UblkDeviceInfo info = default;
        new Deadline(EndTimeout).Wait(
            () =>
            {
                info = control.GetInfo(id);
                return info.State != (ushort)DriverState.Live || ProcessStatus.IsAlive(info.ServerPid);
            },
            cancellation);
        return (DriverState)info.State;
    }

    /// <summary>Waits until a started device's disk is there and opens.</summary>
    /// <param name="id">The device.</param>
    /// <param name="check">Called with what is waited for; throws when the time is up, or the server is dead.</param>
    public static void AwaitBlockDevice(int id, Action<string> check)
    {
        string path = $"/dev/ublkb{id}";
        while (true)
        {
            // Where the target hangs, so does open(2), and nothing but the server's end helps: it must not be this thread.
            Task<bool> attempt = Task.Run(() => CanOpen(path));
            while (!attempt.Wait(TimeSpan.FromMilliseconds(50)))
            {
                check($"open {path}");
            }

            if (attempt.Result)
            {
                return;
            }

            check($"open {path}");
            Thread.Sleep(5);
        }
    }

    /// <summary>Waits until a worker has ended.</summary>
    /// <exception cref="UblkException">It has not.</exception>
    public static void AwaitWorker(int id, int processId, string what)
    {
        if (!ProcessStatus.AwaitDeath(processId, EndTimeout))
        {
            throw new UblkException(UblkError.TimedOut,
                $"Device {id} is {what}, but its worker, process {processId}, has not ended.", Libc.ETIMEDOUT, "wait", id);
        }
    }

    /// <summary>
    /// Waits until a device's supervisor has seen that there is nothing left to do: it ends, or takes itself out of the record.
    /// </summary>
    public static void AwaitSupervisor(DeviceRecord record)
    {
        DeviceSpecification specification = record.Specification;
        new Deadline(EndTimeout).Wait(() => !record.IsSupervised || record.SupervisorId == Environment.ProcessId
            || (StateDirectory.Own.TryRead(specification.Id!.Value) is { } now
                && now.Specification.Cookie == specification.Cookie && now.SupervisorId != record.SupervisorId));
    }

    /// <summary>Records that a command ended the worker of a device, so that it does not count as crashed.</summary>
    public static void MarkEnded(UblkDeviceInfo info) => StateDirectory.Own.Change(
        (int)info.DeviceId, info.ServerCookie, record => record with { EndedByCommand = true }, CancellationToken.None);

    /// <summary>The error of a command that a device in this state does not take.</summary>
    public static UblkException WrongState(int id, DeviceState state) => new(UblkError.DeviceStateInvalid,
        state switch
        {
            DeviceState.Live => $"Device {id} is live; it has a worker. Replace the worker: Update-UblkDevice {id}",
            DeviceState.Suspended => $"Device {id} is suspended. Resume it: Resume-UblkDevice {id}",
            DeviceState.Stopped => $"Device {id} is stopped. Start it: Start-UblkDevice {id}",
            DeviceState.Crashed => $"Device {id} has no worker: it crashed. Start a new one: Start-UblkDevice {id}",
            _ => $"Device {id} is not served, and no record says how. Remove it: Remove-UblkDevice {id}",
        },
        deviceId: id);

    private static bool CanOpen(string path)
    {
        using SafeFileHandle file = Libc.Open(path, Libc.O_RDONLY);
        return !file.IsInvalid;
    }

    // Root would open for a user whatever the user's record names.
    private static void RequireOwner(UblkDeviceInfo info)
    {
        if (info.OwnerUid != Libc.GetEffectiveUserId())
        {
            throw new UblkException(UblkError.PermissionDenied,
                $"Device {info.DeviceId} belongs to {UserNames.Find(info.OwnerUid)}. Only that user can start or change it; root can "
                    + $"remove it: Remove-UblkDevice {info.DeviceId}",
                deviceId: (int)info.DeviceId);
        }
    }
}
