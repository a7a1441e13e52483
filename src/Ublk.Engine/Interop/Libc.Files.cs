using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Ublk.Interop;

internal static partial class Libc
{
    public const int O_RDONLY = 0;
    public const int O_WRONLY = 1;
    public const int O_RDWR = 2;
    public const int O_CREAT = 0x40;
    public const int O_EXCL = 0x80;
    public const int O_APPEND = 0x400;
    public const int O_NONBLOCK = 0x800;
    public const int O_CLOEXEC = 0x80000;

    /// <summary>Only a hold on the file: nothing is done to it (linux fcntl.h).</summary>
    public const int O_PATH = 0x200000;

    /// <summary>S_IRUSR and S_IWUSR: the owner reads and writes (mode 0600).</summary>
    public const int OwnerReadWrite = 0x180;

    public const int F_OFD_GETLK = 36;
    public const int F_OFD_SETLK = 37;
    public const short F_RDLCK = 0;
    public const short F_WRLCK = 1;
    public const short F_UNLCK = 2;

    /// <summary>Keep the file's size (linux/falloc.h).</summary>
    public const int FALLOC_FL_KEEP_SIZE = 0x01;

    /// <summary>Deallocate the range (linux/falloc.h).</summary>
    public const int FALLOC_FL_PUNCH_HOLE = 0x02;

    /// <summary>Zero the range and keep it allocated (linux/falloc.h).</summary>
    public const int FALLOC_FL_ZERO_RANGE = 0x10;

    /// <summary>The write is durable when it completes (linux/fs.h).</summary>
    public const int RWF_DSYNC = 0x02;

    /// <summary>What statfs(2) calls tmpfs (linux/magic.h).</summary>
    public const long TMPFS_MAGIC = 0x01021994;

    public const int SEEK_END = 2;

    /// <summary>The next data from an offset on (lseek(2)).</summary>
    public const int SEEK_DATA = 3;

    /// <summary>The next hole from an offset on, or the end (lseek(2)).</summary>
    public const int SEEK_HOLE = 4;

    /// <summary>Fail rather than replace what has the new name (linux/fs.h).</summary>
    public const uint RENAME_NOREPLACE = 1;

    public const int EFD_CLOEXEC = 0x80000;

    public const uint MFD_CLOEXEC = 1;

    /// <summary>Logical block size of a block device, an int (linux/fs.h).</summary>
    public const uint BLKSSZGET = 0x1268;

    /// <summary>Physical block size of a block device, a uint (linux/fs.h).</summary>
    public const uint BLKPBSZGET = 0x127B;

    /// <summary>Size of a block device in bytes, a u64 (linux/fs.h).</summary>
    public const uint BLKGETSIZE64 = 0x80081272;

    /// <summary>Discard a range of a block device, u64[2] offset and length in bytes (linux/fs.h).</summary>
    public const uint BLKDISCARD = 0x1277;

    /// <summary>Make a block device refuse writes, or not, an int (linux/fs.h).</summary>
    public const uint BLKROSET = 0x125D;

    /// <summary>Have the file system of a folder write nothing until <see cref="FITHAW"/> (linux/fs.h).</summary>
    public const uint FIFREEZE = 0xC0045877;

    /// <summary>End <see cref="FIFREEZE"/> (linux/fs.h).</summary>
    public const uint FITHAW = 0xC0045878;

    /// <summary>Whether a block device refuses writes, an int (linux/fs.h).</summary>
    public const uint BLKROGET = 0x125E;

    /// <summary>Open file directly: 0x4000 on x86-64, 0x10000 on arm64 (asm/fcntl.h).</summary>
    public static int O_DIRECT { get; } = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x10000 : 0x4000;

    /// <summary>Refuse a symbolic link: 0x20000 on x86-64, 0x8000 on arm64 (asm/fcntl.h).</summary>
    public static int O_NOFOLLOW { get; } = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x8000 : 0x20000;

    /// <summary>
    /// Whether the constants and structures of this class hold on a machine. Others, such as ppc64le, have other numbers.
    /// </summary>
    public static bool IsKnown(Architecture architecture) => architecture is Architecture.X64 or Architecture.Arm64;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshallingCustomType = typeof(RawText.Marshaller))]
    private static partial int OpenRaw(string path, int flags, int mode);

    /// <summary>Opens a path, close-on-exec; the handle is invalid and <see cref="LastErrno"/> set on failure.</summary>
    /// <param name="path">The path.</param>
    /// <param name="flags">O_* flags.</param>
    /// <param name="mode">Permissions of a file that this makes.</param>
    public static SafeFileHandle Open(string path, int flags, int mode = 0)
    {
        int fd;
        do
        {
            fd = OpenRaw(path, flags | O_CLOEXEC, mode);
        }
        while (fd < 0 && LastErrno == EINTR);
        return new SafeFileHandle(fd, ownsHandle: true);
    }

    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true, StringMarshallingCustomType = typeof(RawText.Marshaller))]
    private static partial int OpenAtRaw(int directory, string name, int flags, int mode);

    /// <summary>As <see cref="Open"/>, with a name that is looked up in an open directory.</summary>
    public static SafeFileHandle OpenAt(SafeFileHandle directory, string name, int flags, int mode = 0)
    {
        int fd;
        do
        {
            fd = OpenAtRaw((int)directory.DangerousGetHandle(), name, flags | O_CLOEXEC, mode);
        }
        while (fd < 0 && LastErrno == EINTR);
        return new SafeFileHandle(fd, ownsHandle: true);
    }

    /// <summary>Removes a name from an open directory (unlinkat(2)).</summary>
    [LibraryImport("libc", EntryPoint = "unlinkat", SetLastError = true, StringMarshallingCustomType = typeof(RawText.Marshaller))]
    public static partial int UnlinkAt(SafeFileHandle directory, string name, int flags);

    /// <summary>Opens the very file that a handle of <see cref="O_PATH"/> holds, whatever its path leads to by now (proc(5)).</summary>
    public static SafeFileHandle OpenHeld(SafeFileHandle held, int flags) => Open($"/proc/self/fd/{held.DangerousGetHandle()}", flags);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int fd);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    public static unsafe partial nint Write(int fd, void* buffer, nint count);

    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    public static unsafe partial nint PRead(SafeFileHandle fd, void* buffer, nint count, long offset);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    public static partial int FTruncate(SafeFileHandle fd, long length);

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    public static partial int FDataSync(SafeFileHandle fd);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    public static partial int FAllocate(SafeFileHandle fd, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    public static partial int FSync(SafeFileHandle fd);

    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    public static partial long LSeek(SafeFileHandle fd, long offset, int whence);

    [LibraryImport("libc", EntryPoint = "renameat2", SetLastError = true, StringMarshallingCustomType = typeof(RawText.Marshaller))]
    private static partial int RenameAt2(int fromDirectory, string from, int toDirectory, string to, uint flags);

    /// <summary>Gives a file another name in its file system (renameat2(2)).</summary>
    /// <returns>0 or a positive errno.</returns>
    public static int Rename(string from, string to, uint flags) =>
        RenameAt2(AtFdCwd, from, AtFdCwd, to, flags) == 0 ? 0 : LastErrno;

    /// <summary>Gives a file another name in its directory, which is open (renameat2(2)).</summary>
    /// <remarks>A file system without <see cref="RENAME_NOREPLACE"/> has the name looked up first.</remarks>
    /// <returns>0 or a positive errno.</returns>
    public static int Rename(SafeFileHandle directory, string from, string to, uint flags)
    {
        int at = (int)directory.DangerousGetHandle();
        int errno = RenameAt2(at, from, at, to, flags) == 0 ? 0 : LastErrno;
        if (errno != EINVAL || flags != RENAME_NOREPLACE)
        {
            return errno;
        }

        using SafeFileHandle taken = OpenAt(directory, to, O_PATH | O_NOFOLLOW);
        return !taken.IsInvalid ? EEXIST : RenameAt2(at, from, at, to, 0) == 0 ? 0 : LastErrno;
    }

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static unsafe partial int IoCtl(SafeFileHandle fd, nuint request, void* argument);

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int MemFdCreate(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    public static partial int EventFd(uint initial, int flags);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static unsafe partial int FcntlLock(SafeFileHandle fd, int command, Flock* argument);

    /// <summary>Tries to lock a range of a file for this open file description (fcntl(2), F_OFD_SETLK).</summary>
    /// <param name="fd">The file, open for what the lock says.</param>
    /// <param name="type"><see cref="F_RDLCK"/>, <see cref="F_WRLCK"/> or <see cref="F_UNLCK"/>.</param>
    /// <param name="start">The first byte.</param>
    /// <param name="length">Bytes to lock; 0 locks all there are, however the file grows.</param>
    /// <returns>0 or a positive errno.</returns>
    public static unsafe int TryLock(SafeFileHandle fd, short type, long start, long length)
    {
        Flock range = new() { Type = type, Start = start, Length = length };
        return FcntlLock(fd, F_OFD_SETLK, &range) == 0 ? 0 : LastErrno;
    }

    /// <summary>Whether somebody else's lock stands against one on a range of a file (fcntl(2), F_OFD_GETLK).</summary>
    /// <param name="fd">The file.</param>
    /// <param name="type"><see cref="F_RDLCK"/> or <see cref="F_WRLCK"/>.</param>
    /// <param name="start">The first byte.</param>
    /// <param name="length">Bytes of the range; 0 for all there are.</param>
    public static unsafe bool IsLockedAgainst(SafeFileHandle fd, short type, long start, long length)
    {
        Flock range = new() { Type = type, Start = start, Length = length };
        return FcntlLock(fd, F_OFD_GETLK, &range) == 0 && range.Type != F_UNLCK;
    }

    /// <summary>struct flock, 32 bytes (asm-generic/fcntl.h).</summary>
    [StructLayout(LayoutKind.Explicit, Size = 32)]
    internal struct Flock
    {
        [FieldOffset(0)] public short Type;
        [FieldOffset(2)] public short Whence;
        [FieldOffset(8)] public long Start;
        [FieldOffset(16)] public long Length;
        [FieldOffset(24)] public int Pid;
    }

    [LibraryImport("libc", EntryPoint = "fstatfs", SetLastError = true)]
    private static unsafe partial int FStatFs(SafeFileHandle file, StatFsBuffer* state);

    /// <summary>The magic number of the file system a file is on; 0 where it is unknown.</summary>
    public static unsafe long FileSystemOf(SafeFileHandle file)
    {
        StatFsBuffer state = default;
        return FStatFs(file, &state) == 0 ? state.Type : 0;
    }

    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    public static partial nint PRead(int fd, nint buffer, nint count, long offset);

    [LibraryImport("libc", EntryPoint = "pwrite", SetLastError = true)]
    public static partial nint PWrite(int fd, nint buffer, nint count, long offset);

    /// <summary>struct statfs, 120 bytes (asm-generic/statfs.h); the field read here.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 120)]
    internal struct StatFsBuffer
    {
        [FieldOffset(0)] public long Type;
    }
}
