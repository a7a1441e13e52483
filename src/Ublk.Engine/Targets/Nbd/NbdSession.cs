using Microsoft.Win32.SafeHandles;

namespace Ublk.Targets.Nbd;

/// <summary>The connections of a disk that were opened together, each after its handshake.</summary>
internal sealed class NbdSession : IDisposable
{
    private readonly List<NbdSocket> _sockets = [];
    private NbdPeer? _peer;

    private NbdSession()
    {
    }

    /// <summary>The connections; they stay the session's.</summary>
    public IReadOnlyList<NbdSocket> Sockets => _sockets;

    /// <summary>The export, as all of them have it.</summary>
    public NbdExport Export { get; private set; } = null!;

    /// <summary>Connects to a server.</summary>
    /// <param name="uri">The export.</param>
    /// <param name="count">How many connections.</param>
    /// <param name="name">The export, for messages.</param>
    /// <param name="timeout">How long each of them may take.</param>
    /// <param name="findPeer">Finds the server's process by a connection, after the handshake.</param>
    /// <exception cref="UblkException">The server cannot be reached, or refuses, or does not allow several.</exception>
    public static NbdSession Open(
        NbdUri uri, int count, string name, TimeSpan timeout, Func<SafeFileHandle, NbdPeer?> findPeer)
    {
        NbdSession session = new();
        try
        {
            session.Export = session.Connect(uri, timeout);
            if (count > 1 && !session.Export.Has(NbdExportFlags.CanMultiConn))
            {
                throw new UblkException(UblkError.NotSupported,
                    $"{name} does not support several connections (CAN_MULTI_CONN), and each queue thread needs one. Omit ConnectionCount, "
                        + "QueueCount and ThreadsPerQueue, or configure the server to support several connections.");
            }

            while (session._sockets.Count < count)
            {
                if (session.Connect(uri, timeout) != session.Export)
                {
                    throw new UblkException(UblkError.ServerRefused, $"{name} changed while it was opened. Try again.");
                }
            }

            session._peer = findPeer(session._sockets[0].Handle);
            return session;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>Ends the connections, so that operations in flight return.</summary>
    public void Shutdown() => _sockets.ForEach(socket => socket.Shutdown());

    /// <summary>Goes on as another session, with the same file descriptors.</summary>
    /// <param name="next">The other one, which ends with this.</param>
    public void Become(NbdSession next)
    {
        for (int index = 0; index < _sockets.Count; index++)
        {
            _sockets[index].Become(next._sockets[index]);
        }

        Export = next.Export;
        (_peer, next._peer) = (next._peer, _peer);
        next.Dispose();
    }

    /// <summary>Whether the server's process has certainly ended, by then at the latest.</summary>
    public bool HasServerEnded(TimeSpan wait) => _peer?.HasEnded(wait) == true;

    /// <summary>Whether another session is with the same process of a server.</summary>
    public bool IsWithServerOf(NbdSession other) => _peer?.Is(other._peer) == true;

    /// <inheritdoc/>
    public void Dispose()
    {
        _sockets.ForEach(socket => socket.Dispose());
        _peer?.Dispose();
    }

    private NbdExport Connect(NbdUri uri, TimeSpan timeout)
    {
        NbdSocket socket = NbdSocket.Connect(uri, timeout);
        _sockets.Add(socket);
        return NbdHandshake.Run(socket, uri);
    }
}
