using Ublk.Counters;
using Ublk.Io;

namespace Ublk.Targets.Nbd;

/// <summary>Whether requests can be sent.</summary>
internal enum NbdLinkState
{
    /// <summary>They are sent.</summary>
    Open,

    /// <summary>The connection is lost, and they wait for a new one.</summary>
    Waiting,

    /// <summary>The connection is lost, and they fail.</summary>
    Failing,
}

/// <summary>The connections of a disk, which are lost together and come again together.</summary>
/// <remarks>
/// Together, so that a flush by one of them is never taken for one of writes that a session of another one has lost. A thread of its own
/// connects again; it hands each connection what happens to it, on the connection's own thread.
/// </remarks>
internal sealed class NbdLink : IDisposable
{
    /// <summary>The counter that is the export's size in bytes.</summary>
    public const string SizeCounter = "ExportSize";

    // Short enough for a server that was restarted, and in time long enough not to burden one that is not there.
    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(5);

    // A process that was killed has closed its sockets a moment before it has ended.
    private static readonly TimeSpan EndOfServer = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly CancellationTokenSource _end = new();
    private readonly NbdEndpoint _endpoint;
    private readonly NbdSession _session;
    private readonly NbdExport _export;
    private readonly TimeSpan _timeout;
    private readonly TargetOptions _log;
    private readonly int _threads;
    private readonly TargetCounter _losses = new("LostConnections");
    private readonly TargetCounter _returns = new("Reconnections");
    private readonly TargetCounter _uncertain = new("UncertainBytes");
    private readonly TargetCounter _size = new(SizeCounter);

    /// <summary>Begins with a session.</summary>
    /// <param name="session">The session; owned by this object.</param>
    /// <param name="endpoint">Opens the next one; owned by this object.</param>
    /// <param name="reconnectTimeout">How long requests wait for it; zero for not at all.</param>
    /// <param name="requestTimeout">How long a server may take for a request; zero for no limit.</param>
    /// <param name="options">What the disk is opened with; takes sentences for the log.</param>
    public NbdLink(
        NbdSession session, NbdEndpoint endpoint, TimeSpan reconnectTimeout, TimeSpan requestTimeout, TargetOptions options)
    {
        _session = session;
        _export = session.Export;
        _endpoint = endpoint;
        _timeout = reconnectTimeout;
        _log = options;
        _threads = options.QueueThreads;
        RequestTimeout = requestTimeout;
        IsEncrypted = session.Sockets[0].Tls is not null;
        _size.Add(_export.Size);
        Connections = [.. session.Sockets.Select((socket, index) => new NbdConnection(this, socket, options.FirstFile + index))];
    }

    /// <summary>The connections, dealt out to the threads in turn.</summary>
    public NbdConnection[] Connections { get; }

    /// <summary>What is counted, for the disk's user.</summary>
    public IReadOnlyList<TargetCounter> Counters => [_losses, _returns, _uncertain, _size];

    /// <summary>Whether requests can be sent; under the lock.</summary>
    public NbdLinkState State { get; private set; }

    /// <summary>Whether the connections are encrypted.</summary>
    public bool IsEncrypted { get; }

    /// <summary>Which headers the session has.</summary>
    public NbdHeaderForm Headers => _session.Export.Headers;

    /// <summary>How long a server may take for a request; zero for no limit.</summary>
    public TimeSpan RequestTimeout { get; }

    /// <summary>What may not be written any more.</summary>
    public UncertainRanges Uncertain { get; } = new();

    /// <summary>Which writes a flush has covered.</summary>
    public FlushLedger Ledger { get; } = new();

    private bool CanReconnect => _timeout > TimeSpan.Zero;

    /// <summary>The connection for a request: one of those that its queue's thread has, by its tag.</summary>
    public NbdConnection ConnectionOf(IoRequest request)
    {
        int first = FindShare(request.Queue);
        int count = (Connections.Length - first + _threads - 1) / _threads;
        return Connections[first + (request.Tag % count * _threads)];
    }

    /// <summary>Remembers a request that was done.</summary>
    public void Note(NbdCommand command)
    {
        if (!CanReconnect)
        {
            return;
        }

        if (command.Type == NbdCommandType.Flush)
        {
            Ledger.Cover(command.Written);
        }
        else if (command.Type.Changes() && (command.Flags & NbdCommandFlags.ForceUnitAccess) == 0)
        {
            Ledger.AddWrite();
        }
    }

    /// <summary>Remembers a request of a lost session that may still be executed.</summary>
    public void NoteLost(NbdCommand command)
    {
        if (command.Type.Changes() && command.IsSent)
        {
            Uncertain.Add(command.Offset, command.RangeLength);
            _uncertain.Add(command.RangeLength);
        }
    }

    /// <summary>Gives all connections up; from any thread.</summary>
    public void Lose(string reason)
    {
        lock (_lock)
        {
            if (State != NbdLinkState.Open)
            {
                return;
            }

            State = NbdLinkState.Waiting;
            _session.Shutdown();
        }

        _losses.Add();
        _log.Warn($"The connection to the NBD server is lost, and all requests "
            + $"{(CanReconnect ? $"wait up to {_timeout.TotalSeconds} s for a new one" : "fail")}: {reason}.");
        new Thread(Restore) { IsBackground = true, Name = "nbd-reconnect" }.Start();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            _end.Cancel();
            foreach (NbdConnection connection in Connections)
            {
                connection.Dispose();
            }

            _session.Dispose();
        }

        _endpoint.Dispose();
    }

    // The index of the first connection of a thread. Few threads: a search is as good as an index.
    private int FindShare(IoQueue queue)
    {
        for (int first = 0; first < _threads; first++)
        {
            if (Connections[first].Serves(queue))
            {
                return first;
            }
        }

        return Bind(queue);
    }

    private int Bind(IoQueue queue)
    {
        lock (_lock)
        {
            for (int first = 0; first < _threads; first++)
            {
                if (Connections[first].TryBind(queue))
                {
                    for (int index = first + _threads; index < Connections.Length; index += _threads)
                    {
                        _ = Connections[index].TryBind(queue);
                    }

                    return first;
                }
            }
        }

        throw new InvalidOperationException("There are more threads than connections to the NBD server.");
    }

    private void Restore()
    {
        try
        {
            Tell(connection => connection.Suspend());
            new Deadline(Timeout.InfiniteTimeSpan).Wait(() => Connections.All(connection => connection.IsSettled), _end.Token);
            if (CanReconnect)
            {
                Reconnect();
            }
            else
            {
                GiveUp();
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException)
        {
            // The disk has gone meanwhile.
        }
    }

    // Goes on after the requests have failed: new ones fail at once until the server is there again.
    private void Reconnect()
    {
        Deadline deadline = new(_timeout);
        for (TimeSpan delay = FirstDelay; ; delay = TimeSpan.FromTicks(long.Min(delay.Ticks * 2, LongestDelay.Ticks)))
        {
            TimeSpan limit = deadline.IsOver ? NbdSocket.HandshakeTimeout : Shorter(NbdSocket.HandshakeTimeout, deadline.Left);
            try
            {
                Resume(_endpoint.Open(Connections.Length, limit));
                return;
            }
            catch (UblkException exception)
            {
                if (deadline.IsOver && State == NbdLinkState.Waiting)
                {
                    _log.Warn($"Requests fail until there is a connection to the NBD server again: {exception.Message}");
                    GiveUp();
                }
            }

            _end.Token.WaitHandle.WaitOne(State == NbdLinkState.Waiting ? Shorter(delay, deadline.Left) : delay);
            _end.Token.ThrowIfCancellationRequested();
        }
    }

    private static TimeSpan Shorter(TimeSpan one, TimeSpan other) => one < other ? one : other;

    private void GiveUp()
    {
        bool isGone = _session.HasServerEnded(TimeSpan.Zero);
        Tell(NbdLinkState.Failing, connection => connection.GiveUp(isGone));
    }

    private void Resume(NbdSession next)
    {
        // The disk may have grown with it.
        if (NbdGeometry.FindConflict(_export with { Size = _session.Export.Size }, next.Export) is { } conflict)
        {
            next.Dispose();
            _log.Warn($"The export is not the one that it was, and all requests fail from now on: {conflict}. Create the device again.");
            GiveUp();
            return;
        }

        bool isGone = _session.HasServerEnded(_session.IsWithServerOf(next) ? TimeSpan.Zero : EndOfServer);
        bool mustFailFlush;
        lock (_lock)
        {
            if (_end.IsCancellationRequested)
            {
                next.Dispose();
                return;
            }

            _session.Become(next);
            mustFailFlush = _export.Has(NbdExportFlags.SendFlush) && Ledger.Lose();

            // The next loss may come before a connection's thread has seen this session.
            Array.ForEach(Connections, connection => connection.ExpectResume());
        }

        Tell(NbdLinkState.Open, connection => connection.Resume(isGone, mustFailFlush));
        _returns.Add();
        long growth = _session.Export.Size - _size.Value;
        _size.Add(growth);
        _log.Inform("There is a connection to the NBD server again."
            + (mustFailFlush ? " Writes that were not flushed may be lost: the next flush fails." : "")
            + (growth > 0 ? $" The export has grown to {_session.Export.Size} bytes: Resize-UblkDevice." : ""));
    }

    private void Tell(NbdLinkState state, Action<NbdConnection> message)
    {
        lock (_lock)
        {
            State = state;
            Tell(message);
        }
    }

    private void Tell(Action<NbdConnection> message)
    {
        lock (_lock)
        {
            foreach (NbdConnection connection in Connections)
            {
                if (connection.Queue is { } queue)
                {
                    queue.Post(_ => message(connection), null);
                }
                else
                {
                    message(connection);
                }
            }
        }
    }
}
