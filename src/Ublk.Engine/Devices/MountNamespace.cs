using Ublk.Interop;

namespace Ublk.Devices;

/// <summary>
/// A mount namespace for a worker. A server that shares one with a file system on its own disk can wait for itself
/// when it ends; and one that kept copies of other mounts would keep their disks busy after they are unmounted.
/// </summary>
internal static class MountNamespace
{
    /// <summary>Moves the calling thread, and what it starts, into a namespace in which no disk of ublk is mounted.</summary>
    /// <remarks>Without the right to do so it stays where it is, which serves as well.</remarks>
    public static void Leave()
    {
        if (Libc.Unshare(Libc.CLONE_NEWNS) != 0)
        {
            return;
        }

        // What is unmounted outside is unmounted here as well, where the outside shares its mounts; nothing goes out.
        _ = Libc.Mount(null, "/", null, Libc.MS_REC | Libc.MS_SLAVE, 0);
        foreach (string mountPoint in MountsOfUblk())
        {
            _ = Libc.Unmount(mountPoint, Libc.MNT_DETACH);
        }
    }

    // The innermost first, so that none is hidden by another.
    private static IEnumerable<string> MountsOfUblk() =>
        File.ReadAllLines("/proc/thread-self/mountinfo").Select(line => line.Split(' '))
            .Where(fields => fields[Array.IndexOf(fields, "-") + 2].StartsWith("/dev/ublkb", StringComparison.Ordinal))
            .Select(fields => fields[4].Replace("\\040", " ", StringComparison.Ordinal))
            .Reverse();
}
