using Ublk.Interop;

namespace Ublk.Processes;

/// <summary>
/// A mount namespace for a worker. A server that is the last one in a namespace with a file system on its own disk waits for itself when it
/// ends; and one that keeps copies of other mounts keeps their disks busy after they are unmounted.
/// </summary>
internal static class MountNamespace
{
    /// <summary>
    /// Moves the calling thread, and what it starts, into a namespace of its own, which follows what is mounted and unmounted outside.
    /// </summary>
    /// <remarks>
    /// It stays where it is without the right to leave, and in the namespace of the machine's first process if a copy would keep what is
    /// unmounted there. That namespace is never a worker's alone.
    /// </remarks>
    public static void Leave()
    {
        if ((MountTable.HasUnfollowed(MountTable.Of("thread-self")) && IsFirstProcesses()) || Libc.Unshare(Libc.CLONE_NEWNS) != 0)
        {
            return;
        }

        // What is unmounted outside is unmounted here as well; nothing goes out.
        _ = Libc.Mount(null, "/", null, Libc.MS_REC | Libc.MS_SLAVE, 0);

        // The innermost first, so that none is hidden by another.
        foreach (MountTable mount in MountTable.Of("thread-self").Reverse())
        {
            if (mount.Source.StartsWith("/dev/ublkb", StringComparison.Ordinal))
            {
                _ = Libc.Unmount(mount.Point, Libc.MNT_DETACH);
            }
        }
    }

    private static bool IsFirstProcesses()
    {
        string? first = new FileInfo("/proc/1/ns/mnt").LinkTarget;
        return first is not null && first == new FileInfo("/proc/thread-self/ns/mnt").LinkTarget;
    }
}
