using System.Text;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Targets.Rbd;

/// <summary>
/// What the worker of a writable disk leaves to the next one, in the device's own file: whose lock the next one may break.
/// </summary>
/// <param name="ImageId">What identifies the image, whatever its name.</param>
/// <param name="Owner">
/// The worker's address in the cluster, with which it has the lock; it is never used again. Null after the worker has given the lock back.
/// </param>
internal sealed record RbdState(string ImageId, string? Owner)
{
    // Written by one call, which a signal does not divide: a worker that is killed leaves all of it or none.
    private const int Length = 1024;
    private const string Head = "UBLKRBDSTATE";

    /// <summary>Reads the state of the last worker; null where it left none.</summary>
    public static unsafe RbdState? TryRead(string path)
    {
        using SafeFileHandle file = Libc.Open(path, Libc.O_RDONLY | Libc.O_NOFOLLOW);
        byte[] bytes = new byte[Length];
        fixed (byte* start = bytes)
        {
            return !file.IsInvalid && Libc.PRead(file, start, Length, 0) == Length
                && Encoding.UTF8.GetString(bytes).Split('\n') is [Head, var image, var owner, _]
                    ? new RbdState(image, owner.Length == 0 ? null : owner)
                    : null;
        }
    }

    /// <summary>Leaves it.</summary>
    /// <exception cref="UblkException">There is no room for it.</exception>
    public void Write(string path)
    {
        if (TryWrite(path) is var errno and not 0)
        {
            throw UblkException.FromErrno(errno, "write", $"{path} cannot be written");
        }
    }

    /// <summary>Leaves it, if possible.</summary>
    /// <returns>0, or the errno.</returns>
    public unsafe int TryWrite(string path)
    {
        byte[] bytes = Encoding.UTF8.GetBytes($"{Head}\n{ImageId}\n{Owner}\n");
        Array.Resize(ref bytes, Length);
        using SafeFileHandle file = Libc.Open(path, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_NOFOLLOW, Libc.OwnerReadWrite);
        fixed (byte* start = bytes)
        {
            return !file.IsInvalid && Libc.PWrite((int)file.DangerousGetHandle(), (nint)start, Length, 0) == Length ? 0 : Libc.LastErrno;
        }
    }
}
