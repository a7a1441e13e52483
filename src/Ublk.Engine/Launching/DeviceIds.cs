using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Interop;

namespace Ublk.Launching;

/// <summary>The ids of devices that are yet to be made: one command at a time has one.</summary>
internal static class DeviceIds
{
    /// <summary>Locks an id. Disposing unlocks.</summary>
    /// <exception cref="UblkException">A device has it, or another command is at work on it for too long.</exception>
    public static SafeFileHandle Lock(ControlDevice control, int id, CancellationToken cancellation)
    {
        SafeFileHandle idLock = StateDirectory.Own.LockDevice(id, cancellation);
        if (!IsTaken(control, id))
        {
            return idLock;
        }

        idLock.Dispose();
        throw DriverError.ForAdd(Libc.EEXIST, id);
    }

    /// <summary>Locks the lowest id that no device has. Disposing unlocks.</summary>
    /// <param name="control">The control node.</param>
    /// <param name="taken">Ids that proved to be another server's.</param>
    /// <param name="id">The id.</param>
    public static SafeFileHandle LockFree(ControlDevice control, HashSet<int> taken, out int id)
    {
        // Looks before it locks, which is dearer, and once more after: the id was another launcher's until then.
        for (id = 0; ; id++)
        {
            if (taken.Contains(id) || IsTaken(control, id) || StateDirectory.Own.TryLockDevice(id) is not { } idLock)
            {
                continue;
            }

            if (!IsTaken(control, id))
            {
                return idLock;
            }

            idLock.Dispose();
        }
    }

    private static bool IsTaken(ControlDevice control, int id) =>
        DeviceInventory.HasCharDevice(id) || control.TryGetInfo(id, out _) >= 0;
}
