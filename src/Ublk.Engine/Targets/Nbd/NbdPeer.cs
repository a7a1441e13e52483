using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Targets.Nbd;

/// <summary>The process at the other end of a connection: once it has ended, nothing that was sent to it is done any more.</summary>
internal sealed unsafe class NbdPeer : IDisposable
{
    private readonly SafeFileHandle _process;
    private readonly int _id;

    private NbdPeer(SafeFileHandle process, int id)
    {
        _process = process;
        _id = id;
    }

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

        int* credentials = stackalloc int[3];
        length = 3 * sizeof(int);
        bool isKnown = Libc.GetSocketOption(socket, Libc.SOL_SOCKET, Libc.SO_PEERCRED, credentials, &length) == 0;
        return IfAlone(new NbdPeer(new SafeFileHandle(pidfd, ownsHandle: true), isKnown ? credentials[0] : 0));
    }

    /// <summary>A child of this process that has not been waited for; null where it is not the one that serves.</summary>
    public static NbdPeer? OfChild(int processId)
    {
        SafeFileHandle process = Libc.OpenProcess(processId);
        return process.IsInvalid ? null : IfAlone(new NbdPeer(process, processId));
    }

    /// <summary>Whether it is the same process as another one, which is there now.</summary>
    public bool Is(NbdPeer? other) => _id == other?._id && !HasEnded(TimeSpan.Zero);

    /// <summary>Whether it has ended, by then at the latest.</summary>
    public bool HasEnded(TimeSpan wait) => Libc.PollIn(_process, (int)wait.TotalMilliseconds);

    /// <inheritdoc/>
    public void Dispose() => _process.Dispose();

    // A server that forked before it served has ended already; one that forks for each client does not serve it itself.
    private static NbdPeer? IfAlone(NbdPeer peer)
    {
        if (peer._id > 0 && !peer.HasEnded(TimeSpan.Zero) && !MayHaveChildren(peer._id))
        {
            return peer;
        }

        peer.Dispose();
        return null;
    }

    // Of any thread. One that ends meanwhile leaves its children to another, so that all are looked at again.
    private static bool MayHaveChildren(int processId)
    {
        for (int attempt = 0; attempt < 3; attempt++)
        {
            try
            {
                return Directory.GetDirectories($"/proc/{processId}/task").Any(task => File.ReadAllText($"{task}/children") != "");
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // Or the kernel does not say.
            }
        }

        return true;
    }
}
