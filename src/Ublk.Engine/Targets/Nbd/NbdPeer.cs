using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Targets.Nbd;

/// <summary>The process at the other end of a connection: once it has ended, nothing that was sent to it is done any more.</summary>
internal sealed unsafe class NbdPeer : IDisposable
{
    private readonly SafeFileHandle _process;

    private NbdPeer(SafeFileHandle process) => _process = process;

    /// <summary>
    /// The process that listens on a connected Unix socket; null where it is not known, or is not the one that serves the connection.
    /// </summary>
    public static NbdPeer? Of(SafeFileHandle socket)
    {
        int pidfd = -1;
        uint length = sizeof(int);
        if (Libc.GetSocketOption(socket, Libc.SOL_SOCKET, Libc.SO_PEERPIDFD, &pidfd, &length) != 0)
        {
            return null;
        }

        // A server that forked before it served is gone already; one that forks for each client does not serve it itself.
        NbdPeer peer = new(new SafeFileHandle(pidfd, ownsHandle: true));
        if (peer.HasEnded(TimeSpan.Zero) || peer.MayHaveChildren(socket))
        {
            peer.Dispose();
            return null;
        }

        return peer;
    }

    /// <summary>Whether it has ended, by then at the latest.</summary>
    public bool HasEnded(TimeSpan wait) => Libc.PollIn(_process, (int)wait.TotalMilliseconds);

    /// <inheritdoc/>
    public void Dispose() => _process.Dispose();

    private bool MayHaveChildren(SafeFileHandle socket)
    {
        int* credentials = stackalloc int[3];
        uint length = 3 * sizeof(int);
        if (Libc.GetSocketOption(socket, Libc.SOL_SOCKET, Libc.SO_PEERCRED, credentials, &length) != 0 || credentials[0] <= 0)
        {
            return true;
        }

        try
        {
            // Of the main thread and of the others.
            return Directory.EnumerateDirectories($"/proc/{credentials[0]}/task").Any(task => File.ReadAllText($"{task}/children") != "");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return true;
        }
    }
}
