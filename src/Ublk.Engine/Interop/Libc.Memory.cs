using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Ublk.Interop;

internal static partial class Libc
{
    public const int PROT_READ = 1;
    public const int PROT_WRITE = 2;
    public const int MAP_SHARED = 0x01;
    public const int MAP_PRIVATE = 0x02;
    public const int MAP_ANONYMOUS = 0x20;
    public const int MAP_NORESERVE = 0x4000;
    public const int MAP_POPULATE = 0x8000;
    public const int MADV_NOHUGEPAGE = 15;

    /// <summary>Touch the pages as writing would (linux/mman.h, kernel 5.14).</summary>
    public const int MADV_POPULATE_WRITE = 23;

    /// <summary>MADV_DONTNEED that works on locked memory too (linux/mman.h, kernel 5.18).</summary>
    public const int MADV_DONTNEED_LOCKED = 24;

    public const int MCL_CURRENT = 1;
    public const int MCL_FUTURE = 2;

    /// <summary>Pages are locked when they are touched, and not touched to be locked.</summary>
    public const int MCL_ONFAULT = 4;

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint MMapRaw(nint address, nuint length, int protection, int flags, int fd, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    public static partial int MUnmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    public static partial int MAdvise(nint address, nuint length, int advice);

    [LibraryImport("libc", EntryPoint = "mlockall", SetLastError = true)]
    public static partial int MLockAll(int flags);

    /// <summary>Maps memory.</summary>
    /// <returns>The address; 0 and <see cref="LastErrno"/> on failure.</returns>
    public static nint MMap(nuint length, int protection, int flags, SafeFileHandle? file, long offset)
    {
        nint address = MMapRaw(0, length, protection, flags, file is null ? -1 : (int)file.DangerousGetHandle(), offset);
        return address == -1 ? 0 : address;
    }
}
