using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Ublk.Interop;

internal static partial class Libc
{
    public const uint STATX_BASIC_STATS = 0x7FF;

    /// <summary>When the file was made, where the file system keeps it (linux/stat.h).</summary>
    public const uint STATX_BTIME = 0x800;

    /// <summary>Direct I/O alignment, from kernel 6.1 (linux/stat.h).</summary>
    public const uint STATX_DIOALIGN = 0x2000;

    public const ushort S_IFMT = 0xF000;
    public const ushort S_IFDIR = 0x4000;
    public const ushort S_IFBLK = 0x6000;
    public const ushort S_IFREG = 0x8000;

    private const int AtFdCwd = -100;
    private const int AtEmptyPath = 0x1000;

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshallingCustomType = typeof(RawText.Marshaller))]
    private static unsafe partial int StatxRaw(int directory, string path, int flags, uint mask, StatxBuffer* buffer);

    /// <summary>The state of a path, links followed.</summary>
    /// <returns>0 or a positive errno.</returns>
    public static unsafe int Statx(string path, out StatxBuffer state)
    {
        fixed (StatxBuffer* buffer = &state)
        {
            return StatxRaw(AtFdCwd, path, 0, STATX_BASIC_STATS | STATX_BTIME, buffer) == 0 ? 0 : LastErrno;
        }
    }

    /// <summary>The state of an open file, with its direct I/O alignment where the file system reports it.</summary>
    /// <returns>0 or a positive errno.</returns>
    public static unsafe int Statx(SafeFileHandle file, out StatxBuffer state)
    {
        fixed (StatxBuffer* buffer = &state)
        {
            int fd = (int)file.DangerousGetHandle();
            return StatxRaw(fd, "", AtEmptyPath, STATX_BASIC_STATS | STATX_BTIME | STATX_DIOALIGN, buffer) == 0 ? 0 : LastErrno;
        }
    }

    /// <summary>struct statx, 256 bytes (linux/stat.h); the fields read here.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    internal struct StatxBuffer
    {
        [FieldOffset(0)] public uint Mask;
        [FieldOffset(4)] public uint BlockSize;
        [FieldOffset(20)] public uint UserId;
        [FieldOffset(24)] public uint GroupId;
        [FieldOffset(28)] public ushort Mode;
        [FieldOffset(32)] public ulong Inode;
        [FieldOffset(40)] public ulong Size;
        [FieldOffset(48)] public ulong Blocks;
        [FieldOffset(80)] public long BirthSeconds;
        [FieldOffset(88)] public uint BirthNanoseconds;
        [FieldOffset(128)] public uint DeviceNodeMajor;
        [FieldOffset(132)] public uint DeviceNodeMinor;
        [FieldOffset(136)] public uint DeviceMajor;
        [FieldOffset(140)] public uint DeviceMinor;
        [FieldOffset(152)] public uint DirectMemoryAlign;
        [FieldOffset(156)] public uint DirectOffsetAlign;

        public readonly bool HasBirthTime => (Mask & STATX_BTIME) != 0;

        public readonly bool IsRegular => (Mode & S_IFMT) == S_IFREG;

        public readonly bool IsBlockDevice => (Mode & S_IFMT) == S_IFBLK;

        public readonly bool IsDirectory => (Mode & S_IFMT) == S_IFDIR;
    }
}
