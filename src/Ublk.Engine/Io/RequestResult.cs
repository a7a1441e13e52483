using Ublk.Interop;

namespace Ublk.Io;

/// <summary>Turns a target's answer into the result that goes to the driver.</summary>
internal static class RequestResult
{
    /// <summary>The result to commit for a request.</summary>
    /// <remarks>
    /// A short positive result is never passed on: the 7.3 driver takes it for the whole, and the client would read
    /// bytes that were never written. A target that returns one is at fault, and the client gets EIO.
    /// </remarks>
    public static int ForDriver(IoRequest request, int answer)
    {
        if (answer < 0)
        {
            return answer >= -Libc.MaxErrno ? answer : -Libc.EIO;
        }

        if (answer != 0 && answer != request.Length)
        {
            return -Libc.EIO;
        }

        return request.Operation is IoOperation.Read or IoOperation.Write ? (int)request.Length : 0;
    }

    /// <summary>The result of a request whose target threw an exception.</summary>
    public static int ForException(Exception exception) => exception is UblkException { Errno: > 0 and var errno } ? -errno : -Libc.EIO;
}
