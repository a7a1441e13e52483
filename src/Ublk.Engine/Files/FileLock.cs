using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Files;

/// <summary>The locks by which devices, operations on images and qemu's programs keep off each other's files.</summary>
/// <remarks>
/// <para>
/// qemu (block/file-posix.c) read-locks a byte for each thing that it does to a file, and another byte for each thing that it does not
/// allow others to do. It then tests whether somebody holds a byte that stands against its own.
/// </para>
/// <para>
/// A reader here does the same: it reads consistent data, and allows no one else to write or resize the file. A writer locks the whole
/// file, which stands against each of qemu's bytes. The locks belong to the open file description and need no cleaning up after a crash.
/// </para>
/// </remarks>
internal static class FileLock
{
    // Where the bytes are: for what a program does, and for what it does not allow others.
    private const long Does = 100;
    private const long Refuses = 200;

    // The numbers of what can be done (qemu: BLK_PERM_CONSISTENT_READ, BLK_PERM_WRITE, BLK_PERM_RESIZE).
    private const long Reads = 0;
    private const long Writes = 1;
    private const long Resizes = 3;

    /// <summary>Takes a shared lock, which bars writers.</summary>
    /// <returns>False if another process writes the file. True where the file system has no locks.</returns>
    public static bool TryShare(SafeFileHandle file) =>
        IsFree(Libc.TryLock(file, Libc.F_RDLCK, 0, 1))
        && IsFree(Libc.TryLock(file, Libc.F_RDLCK, Does + Reads, 1))
        && IsFree(Libc.TryLock(file, Libc.F_RDLCK, Refuses + Writes, 1))
        && IsFree(Libc.TryLock(file, Libc.F_RDLCK, Refuses + Resizes, 1))
        && !Libc.IsLockedAgainst(file, Libc.F_WRLCK, Refuses + Reads, 1)
        && !Libc.IsLockedAgainst(file, Libc.F_WRLCK, Does + Writes, 1)
        && !Libc.IsLockedAgainst(file, Libc.F_WRLCK, Does + Resizes, 1);

    /// <summary>Takes an exclusive lock.</summary>
    /// <returns>False if another process has the file locked. True where the file system has no locks.</returns>
    public static bool TryOwn(SafeFileHandle file) => IsFree(Libc.TryLock(file, Libc.F_WRLCK, 0, 0));

    /// <summary>
    /// Gives the locks up before the file is closed: a ring, or a program that is being started, has it open for a while longer.
    /// </summary>
    public static void Release(SafeFileHandle file)
    {
        if (!file.IsClosed)
        {
            _ = Libc.TryLock(file, Libc.F_UNLCK, 0, 0);
        }
    }

    private static bool IsFree(int errno) => errno is not (Libc.EAGAIN or Libc.EACCES);
}
