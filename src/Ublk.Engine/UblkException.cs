using Ublk.Interop;

namespace Ublk;

/// <summary>The one exception of the engine: what failed, with which errno, on which device, and what to do about it.</summary>
public sealed class UblkException : Exception
{
    /// <summary>Creates an exception whose message is complete as it stands.</summary>
    /// <param name="error">The stable name of the failure.</param>
    /// <param name="message">A sentence for the user that says what to do.</param>
    /// <param name="errno">The positive errno behind it; 0 if not applicable.</param>
    /// <param name="operation">The step that failed, such as <c>ADD_DEV</c> or <c>open</c>.</param>
    /// <param name="deviceId">The device concerned, or null.</param>
    public UblkException(UblkError error, string message, int errno = 0, string operation = "", int? deviceId = null)
        : base(message)
    {
        Error = error;
        Errno = errno;
        Operation = operation;
        DeviceId = deviceId;
    }

    /// <summary>The stable name of the failure.</summary>
    public UblkError Error { get; }

    /// <summary>The positive errno behind the failure; 0 if not applicable.</summary>
    public int Errno { get; }

    /// <summary>The step that failed, such as <c>ADD_DEV</c> or <c>open</c>.</summary>
    public string Operation { get; }

    /// <summary>The device concerned, or null.</summary>
    public int? DeviceId { get; }

    /// <summary>An exception for a failed system call: the errno's own text after what was being done.</summary>
    internal static UblkException FromErrno(int errno, string operation, string what, int? deviceId = null)
    {
        UblkError error = errno is Libc.EPERM or Libc.EACCES ? UblkError.PermissionDenied : UblkError.OperationFailed;
        return new UblkException(error, $"{what}: {Libc.Describe(errno)}. {Remedy(errno)}", errno, operation, deviceId);
    }

    private static string Remedy(int errno) => errno switch
    {
        Libc.EPERM or Libc.EACCES => "Run as root, or check the permissions.",
        Libc.ENOSPC => "Free space on the file system, then try again.",
        Libc.EROFS => "Use a file system that is mounted for writing.",
        Libc.ENOMEM => "Free memory, then try again.",
        Libc.EBUSY or Libc.ETXTBSY => "Find its users with fuser or lsof, then try again.",
        _ => "The kernel's log may show the cause: dmesg",
    };
}
