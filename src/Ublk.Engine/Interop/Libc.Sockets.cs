using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Ublk.Interop;

internal static partial class Libc
{
    public const int AF_UNIX = 1;
    public const int AF_INET = 2;
    public const int AF_INET6 = 10;

    public const int SOCK_STREAM = 1;
    public const int SOCK_CLOEXEC = 0x80000;

    public const int SOL_SOCKET = 1;

    public const int SO_REUSEADDR = 2;
    public const int SO_KEEPALIVE = 9;

    /// <summary>The peer's pid, uid and gid, a struct ucred (asm-generic/socket.h).</summary>
    public const int SO_PEERCRED = 17;

    /// <summary>How long a receive may take, a struct timeval; 0 for ever (asm-generic/socket.h).</summary>
    public const int SO_RCVTIMEO = 20;

    /// <summary>How long a send or a connect may take, a struct timeval; 0 for ever (asm-generic/socket.h).</summary>
    public const int SO_SNDTIMEO = 21;

    /// <summary>A pidfd of the process that listens on a Unix socket (asm-generic/socket.h, kernel 6.5).</summary>
    public const int SO_PEERPIDFD = 77;

    public const int IPPROTO_TCP = 6;
    public const int TCP_NODELAY = 1;

    /// <summary>Seconds of silence after which the peer is probed (linux/tcp.h).</summary>
    public const int TCP_KEEPIDLE = 4;

    /// <summary>Seconds between probes (linux/tcp.h).</summary>
    public const int TCP_KEEPINTVL = 5;

    /// <summary>Probes without an answer that end the connection (linux/tcp.h).</summary>
    public const int TCP_KEEPCNT = 6;

    /// <summary>EPIPE instead of a signal (linux/socket.h).</summary>
    public const int MSG_NOSIGNAL = 0x4000;

    /// <summary>Not before all bytes are transferred (linux/socket.h).</summary>
    public const int MSG_WAITALL = 0x100;

    public const int SHUT_RDWR = 2;

    /// <summary>Bytes of a Unix socket's path, with the zero at its end (linux/un.h).</summary>
    public const int UnixPathMax = 108;

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int SocketRaw(int family, int type, int protocol);

    /// <summary>Makes a socket, close-on-exec and blocking; the handle is invalid and <see cref="LastErrno"/> set on failure.</summary>
    public static SafeFileHandle Socket(int family) => new(SocketRaw(family, SOCK_STREAM | SOCK_CLOEXEC, 0), ownsHandle: true);

    /// <summary>Connects a socket; EINPROGRESS when the time of <see cref="SO_SNDTIMEO"/> is up.</summary>
    [LibraryImport("libc", EntryPoint = "connect", SetLastError = true)]
    public static unsafe partial int Connect(SafeFileHandle socket, byte* address, uint length);

    [LibraryImport("libc", EntryPoint = "bind", SetLastError = true)]
    public static unsafe partial int Bind(SafeFileHandle socket, byte* address, uint length);

    [LibraryImport("libc", EntryPoint = "listen", SetLastError = true)]
    public static partial int Listen(SafeFileHandle socket, int backlog);

    [LibraryImport("libc", EntryPoint = "accept4", SetLastError = true)]
    private static partial int AcceptRaw(SafeFileHandle socket, nint address, nint length, int flags);

    /// <summary>Waits for a connection, which is close-on-exec; the handle is invalid and <see cref="LastErrno"/> set on failure.</summary>
    public static SafeFileHandle Accept(SafeFileHandle socket) => new(AcceptRaw(socket, 0, 0, SOCK_CLOEXEC), ownsHandle: true);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    public static unsafe partial nint Send(SafeFileHandle socket, byte* data, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    public static unsafe partial nint Receive(SafeFileHandle socket, byte* data, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "setsockopt", SetLastError = true)]
    public static unsafe partial int SetSocketOption(SafeFileHandle socket, int level, int name, void* value, uint length);

    [LibraryImport("libc", EntryPoint = "getsockopt", SetLastError = true)]
    public static unsafe partial int GetSocketOption(SafeFileHandle socket, int level, int name, void* value, uint* length);

    /// <summary>Ends a connection, so that operations in flight return.</summary>
    [LibraryImport("libc", EntryPoint = "shutdown", SetLastError = true)]
    public static partial int Shutdown(SafeFileHandle socket, int how);

    /// <summary>struct timeval, 16 bytes.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 16)]
    public struct TimeValue
    {
        [FieldOffset(0)] public long Seconds;
        [FieldOffset(8)] public long Microseconds;
    }

    /// <summary>struct iovec, 16 bytes.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 16)]
    public struct IoVector
    {
        [FieldOffset(0)] public nint Base;
        [FieldOffset(8)] public nuint Length;
    }

    /// <summary>struct msghdr, 56 bytes.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 56)]
    public struct MessageHeader
    {
        [FieldOffset(16)] public nint Vectors;
        [FieldOffset(24)] public nuint VectorCount;
    }
}
