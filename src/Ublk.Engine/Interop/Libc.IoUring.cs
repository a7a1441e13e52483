using System.Runtime.InteropServices;

namespace Ublk.Interop;

internal static partial class Libc
{
    // The numbers are those of every architecture's unified table (asm-generic/unistd.h).
    private const long SysIoUringSetup = 425;
    private const long SysIoUringEnter = 426;
    private const long SysIoUringRegister = 427;

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static unsafe partial long Syscall(long number, nint a, void* b);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static unsafe partial long Syscall(long number, nint a, nuint b, void* c, nuint d);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static unsafe partial long Syscall(long number, nint a, nuint b, nuint c, nuint d, void* e, nuint f);

    /// <summary>io_uring_setup(2): the ring's file descriptor, or -1 and <see cref="LastErrno"/>.</summary>
    public static unsafe int IoUringSetup(uint entries, IoUringParams* parameters) =>
        (int)Syscall(SysIoUringSetup, (nint)entries, parameters);

    /// <summary>io_uring_register(2).</summary>
    public static unsafe int IoUringRegister(int fd, uint opcode, void* argument, uint count) =>
        (int)Syscall(SysIoUringRegister, fd, opcode, argument, count);

    /// <summary>io_uring_enter(2): the number of entries submitted, or -1 and <see cref="LastErrno"/>.</summary>
    public static unsafe int IoUringEnter(int fd, uint submit, uint wait, uint flags, void* argument, nuint size) =>
        (int)Syscall(SysIoUringEnter, fd, submit, wait, flags, argument, size);
}
