using Microsoft.Win32.SafeHandles;
using Ublk.Interop;
using Ublk.Targets.Nbd;

namespace Ublk.Exports.Server;

/// <summary>An NBD server for one export: a thread that accepts clients, and one for each client.</summary>
internal sealed class ExportServer : IDisposable
{
    /// <summary>Clients at once. Each has memory for its requests.</summary>
    public const int MaxClients = 16;

    /// <summary>How long a handshake may take, and how long a client may be silent in the middle of a message.</summary>
    public static readonly TimeSpan SilenceTimeout = TimeSpan.FromSeconds(30);

    // Of one thread; the handshake and the data path need little.
    private const int StackSize = 256 << 10;

    private readonly ExportedDisk _disk;
    private readonly SafeFileHandle _listener;
    private readonly bool _isTcp;
    private readonly NbdServerCertificates? _certificates;
    private readonly Action<string> _log;
    private readonly Action<int> _clientsChanged;
    private readonly TimeSpan _silenceTimeout;
    private readonly Lock _lock = new();
    private readonly Dictionary<int, (NbdSocket Socket, Thread Thread)> _clients = [];
    private readonly Thread _thread;
    private bool _isStopping;
    private int _lastClient;

    /// <summary>Serves from now on.</summary>
    /// <param name="disk">The export; it stays the caller's.</param>
    /// <param name="listener">A socket that listens; owned by this object.</param>
    /// <param name="isTcp">Whether it is one of TCP.</param>
    /// <param name="certificates">The certificates, with which TLS is required; null for none.</param>
    /// <param name="log">Takes a sentence about a client. Called from any thread.</param>
    /// <param name="clientsChanged">Takes the number of clients when it has changed. Called from any thread, one call at a time.</param>
    /// <param name="silenceTimeout">How long a handshake may take, and how long a client may be silent in the middle of a message.</param>
    public ExportServer(
        ExportedDisk disk, SafeFileHandle listener, bool isTcp, NbdServerCertificates? certificates, Action<string> log,
        Action<int> clientsChanged, TimeSpan silenceTimeout)
    {
        _silenceTimeout = silenceTimeout;
        _disk = disk;
        _listener = listener;
        _isTcp = isTcp;
        _certificates = certificates;
        _log = log;
        _clientsChanged = clientsChanged;
        _thread = new Thread(AcceptAll, StackSize) { IsBackground = true, Name = "accept" };
        _thread.Start();
    }

    /// <summary>Ends all connections. Requests in flight end first.</summary>
    public void Dispose()
    {
        Thread[] threads;
        lock (_lock)
        {
            _isStopping = true;
            foreach ((NbdSocket socket, _) in _clients.Values)
            {
                socket.Shutdown();
            }

            threads = [.. _clients.Values.Select(client => client.Thread)];
        }

        // The accept that waits returns then.
        _ = Libc.Shutdown(_listener, Libc.SHUT_RDWR);
        _thread.Join();
        Array.ForEach(threads, thread => thread.Join());
        _listener.Dispose();
    }

    private void AcceptAll()
    {
        while (true)
        {
            SafeFileHandle handle = Libc.Accept(_listener);
            int errno = handle.IsInvalid ? Libc.LastErrno : 0;
            lock (_lock)
            {
                if (_isStopping)
                {
                    handle.Dispose();
                    return;
                }

                if (errno == 0)
                {
                    Add(NbdSocket.OfClient(handle, _silenceTimeout));
                }
            }

            if (errno is not (0 or Libc.EINTR))
            {
                // Out of files or memory, which may pass.
                _log($"A client could not connect: {Libc.Describe(errno)}");
                Thread.Sleep(TimeSpan.FromMilliseconds(100));
            }
        }
    }

    private void Add(NbdSocket socket)
    {
        int number = ++_lastClient;
        if (_clients.Count == MaxClients)
        {
            _log($"Client {number} is refused: there are {MaxClients} others.");
            socket.Dispose();
            return;
        }

        Thread thread = new(() => Serve(number, socket), StackSize) { IsBackground = true, Name = $"client {number}" };
        _clients.Add(number, (socket, thread));
        _clientsChanged(_clients.Count);
        try
        {
            thread.Start();
        }
        catch (Exception exception) when (exception is OutOfMemoryException or ThreadStartException)
        {
            _log($"Client {number} is refused: {exception.Message}");
            Remove(number, socket);
        }
    }

    private void Serve(int number, NbdSocket socket)
    {
        try
        {
            if (_isTcp)
            {
                socket.SetTcpOptions();
            }

            if (ClientHandshake.Run(socket, _disk, _certificates) is { } agreement)
            {
                using ClientSession session = new(_disk, socket, agreement, _silenceTimeout);
                if (session.Run() is { } fault)
                {
                    _log($"Client {number} is dropped: {fault}.");
                }
            }
        }
        catch (UblkException exception) when (exception is { Operation: "recv", Errno: Libc.ENOLINK }
            or { Errno: Libc.ECONNRESET or Libc.EPIPE })
        {
            // A client may leave in the handshake, as one that only lists the exports.
        }
        catch (Exception exception)
        {
            _log($"Client {number} is dropped: {exception.Message}");
        }
        finally
        {
            Remove(number, socket);
        }
    }

    private void Remove(int number, NbdSocket socket)
    {
        lock (_lock)
        {
            _clients.Remove(number);
            socket.Dispose();
            _clientsChanged(_clients.Count);
        }
    }
}
