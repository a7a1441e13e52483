using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Io;

namespace Ublk.Targets.Nbd;

/// <summary>A connection to an export, of which one queue's thread makes use: many requests at once, answered in any order.</summary>
/// <remarks>Everything happens on the queue's thread, or under the link's lock while no queue has the connection.</remarks>
internal sealed class NbdConnection : IDisposable
{
    private readonly NbdLink _link;
    private readonly NbdSocket _socket;
    private readonly Action _onTick;
    private NbdCommandPool _commands = new();
    private IoQueue? _queue;
    private NbdSender? _sender;
    private NbdReceiver? _receiver;
    private NbdLinkState _state;
    private int _due;
    private int _outsideMemory;
    private bool _isTicking;
    private IoTaskAwaiter<int> _tick;
    private volatile bool _isSettled = true;

    /// <summary>Makes use of a socket after its handshake.</summary>
    /// <param name="link">What the connection is a part of.</param>
    /// <param name="socket">The socket; it stays the link's.</param>
    /// <param name="file">The socket's index among the files of the queues.</param>
    public NbdConnection(NbdLink link, NbdSocket socket, int file)
    {
        _link = link;
        _socket = socket;
        _onTick = OnTick;
        File = file;
    }

    /// <summary>The socket.</summary>
    public SafeFileHandle Handle => _socket.Handle;

    /// <summary>The socket's index among the files of the queues.</summary>
    public int File { get; }

    /// <summary>Whether requests are sent.</summary>
    public bool IsOpen => _state == NbdLinkState.Open;

    /// <summary>Whether a request waits for its reply.</summary>
    public bool IsReplyDue => _due > 0;

    /// <summary>Whether that is a single request.</summary>
    public bool IsLastReplyDue => _due == 1;

    /// <summary>Whether data may come that must not be received to memory.</summary>
    public bool IsDataDueOutsideMemory => _outsideMemory > 0;

    /// <summary>Whether the kernel has let go of all data of a lost connection. Readable from any thread.</summary>
    public bool IsSettled => _isSettled || Queue is null;

    /// <summary>It is about to be resumed, and not settled any more; under the link's lock.</summary>
    public void ExpectResume() => _isSettled = false;

    /// <summary>The queue that has the connection; null for none. Readable from any thread.</summary>
    public IoQueue? Queue => Volatile.Read(ref _queue) is { IsDisposed: false } queue ? queue : null;

    /// <summary>Whether it serves a queue.</summary>
    public bool Serves(IoQueue queue) => _queue == queue;

    /// <summary>Makes the connection a queue's own, unless another one has it; under the link's lock.</summary>
    public bool TryBind(IoQueue queue)
    {
        if (Queue is not null)
        {
            return false;
        }

        // A queue that ended before its requests leaves half a message, and requests that have no client any more.
        if (_commands.Active > 0)
        {
            Array.ForEach(_commands.FindActive(), _link.NoteLost);
            _commands = new NbdCommandPool();
            _link.Lose("requests were abandoned");
        }

        _queue = queue;
        _isTicking = false;
        Renew();
        Enter(_link.State);
        return true;
    }

    /// <summary>Sends a request; on the queue's thread.</summary>
    /// <param name="type">What it is for.</param>
    /// <param name="flags">How it is to be done.</param>
    /// <param name="offset">The first byte in the export.</param>
    /// <param name="length">Bytes in the range.</param>
    /// <param name="buffer">The data of a read or a write.</param>
    /// <returns>The length of the data, 0 where there is none, or a negative errno.</returns>
    public IoTask<int> SubmitAsync(NbdCommandType type, NbdCommandFlags flags, long offset, long length, IoBuffer buffer = default)
    {
        int refusal = _state == NbdLinkState.Failing ? NbdError.LostConnection
            : type == NbdCommandType.Flush && IsOpen && _link.Ledger.TakeLoss() ? NbdError.LostWrites
            : type.Changes() && _link.Uncertain.Overlaps(offset, length) ? NbdError.Uncertain
            : 0;
        if (refusal != 0)
        {
            return -refusal;
        }

        NbdCommand command = _commands.Rent();
        command.Load(_link.Headers, type, flags, offset, length, buffer);
        IoTask<int> answer = command.Task;
        if (IsOpen)
        {
            Begin(command);
        }

        return answer;
    }

    /// <summary>Answers a request whose reply has come and whose data is not in use any more.</summary>
    public void Answer(NbdCommand command)
    {
        if (command.Errno == 0)
        {
            _link.Note(command);
        }

        _commands.Complete(command, command.Errno != 0 ? -command.Errno : command.Buffer.Length);
    }

    /// <summary>Sends what the connection itself has to say.</summary>
    public void Send() => _sender!.Send();

    /// <summary>Gives the connection up, and with it all others of the link.</summary>
    public void Fail(string reason)
    {
        _link.Lose(reason);
        Suspend();
    }

    /// <summary>Sends nothing more: requests wait.</summary>
    public void Suspend()
    {
        if (IsOpen)
        {
            _state = NbdLinkState.Waiting;
        }

        Settle();
    }

    /// <summary>Once the kernel has let go of all data, answers what was replied to.</summary>
    public void Settle()
    {
        if (_sender?.IsSending != true && _receiver?.IsReceiving != true)
        {
            foreach (NbdCommand command in _commands.FindActive().Where(command => command.IsReplied))
            {
                Answer(command);
            }

            _isSettled = true;
        }
    }

    /// <summary>Fails all that waits, and whatever comes.</summary>
    /// <param name="isGone">Whether no request of the lost session can be executed any more.</param>
    public void GiveUp(bool isGone)
    {
        Enter(NbdLinkState.Failing);
        foreach (NbdCommand command in Waiting())
        {
            if (!isGone)
            {
                _link.NoteLost(command);
            }

            _commands.Complete(command, -NbdError.LostConnection);
        }
    }

    /// <summary>Goes on with a new session: sends what waits, and again what was sent, where that is safe.</summary>
    /// <param name="isGone">Whether no request of the lost session can be executed any more.</param>
    /// <param name="failsFlushes">Whether writes may be lost that a flush would be for.</param>
    public void Resume(bool isGone, bool failsFlushes)
    {
        Renew();
        NbdCommand[] waiting = Waiting();
        if (!isGone)
        {
            Array.ForEach(waiting, _link.NoteLost);
        }

        int[] errors = [.. waiting.Select(command => ErrorOf(command, isGone, failsFlushes))];
        Enter(NbdLinkState.Open);
        for (int index = 0; index < waiting.Length; index++)
        {
            if (errors[index] == 0)
            {
                waiting[index].Rewind(_link.Headers);
                Begin(waiting[index]);
            }
        }

        if (failsFlushes && waiting.Any(command => command.Type == NbdCommandType.Flush))
        {
            _link.Ledger.TakeLoss();
        }

        // What goes on behind a request may send others.
        for (int index = 0; index < waiting.Length; index++)
        {
            if (errors[index] != 0)
            {
                _commands.Complete(waiting[index], -errors[index]);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_state == NbdLinkState.Open && _commands.Active == 0)
        {
            Span<byte> farewell = stackalloc byte[NbdHeaders.MaxRequestLength];
            int length = NbdHeaders.Write(farewell, _link.Headers, NbdCommandFlags.None, NbdCommandType.Disconnect, 0, 0, 0);
            _socket.TrySendLast(farewell[..length]);
        }

        // The ring may keep the socket open for a moment.
        _socket.Shutdown();
        _sender?.Dispose();
        _receiver?.Dispose();
    }

    private int ErrorOf(NbdCommand command, bool isGone, bool failsFlushes) => command.Type switch
    {
        NbdCommandType.Read => 0,
        NbdCommandType.Flush when failsFlushes || _link.Ledger.TakeLoss() => NbdError.LostWrites,
        NbdCommandType.Flush => 0,
        _ when command.IsSent && !isGone => NbdError.LostConnection,
        _ => _link.Uncertain.Overlaps(command.Offset, command.RangeLength) ? NbdError.Uncertain : 0,
    };

    private void Begin(NbdCommand command)
    {
        command.Written = _link.Ledger.Written;
        _due++;
        _outsideMemory += command.ReadsOutsideMemory ? 1 : 0;
        if (_link.RequestTimeout > TimeSpan.Zero)
        {
            command.SendTime = Environment.TickCount64;
            Tick();
        }

        _sender!.Add(command);
        _receiver!.Start();
    }

    // What a queue left that ended has no client any more.
    private NbdCommand[] Waiting() => Queue is null ? [] : _commands.FindActive();

    private void Enter(NbdLinkState state)
    {
        _isSettled = state != NbdLinkState.Open;
        _state = state;
    }

    // For the socket that the link has now.
    private void Renew()
    {
        _due = 0;
        _outsideMemory = 0;
        _sender?.Dispose();
        _receiver?.Dispose();
        if (Queue is { } queue)
        {
            queue.ReplaceFile(File, Handle);
            NbdReplies replies = new(_commands, OnReplied, _link.Headers);
            NbdTls? tls = _socket.Tls;
            _sender = tls is null ? new NbdPlainSender(this, queue) : new NbdTlsSender(this, queue, tls);
            _receiver = tls is null ? new NbdPlainReceiver(this, queue, replies) : new NbdTlsReceiver(this, queue, replies, tls);
        }
    }

    private void OnReplied(NbdCommand command)
    {
        _due--;
        _outsideMemory -= command.ReadsOutsideMemory ? 1 : 0;
        command.IsReplied = true;

        // The completion of its message may be seen only after its reply; until then the kernel may read its data.
        if (command.Unsent == 0)
        {
            Answer(command);
        }
    }

    // While requests are in flight, looks at them now and then.
    private void Tick()
    {
        if (!_isTicking)
        {
            _isTicking = true;
            Await(_queue!.DelayAsync(_link.RequestTimeout / 4));
        }
    }

    private void Await(IoTask<int> tick)
    {
        _tick = tick.GetAwaiter();
        _tick.UnsafeOnCompleted(_onTick);
    }

    private void OnTick()
    {
        _tick.GetResult();
        _isTicking = false;
        if (!IsOpen || !IsReplyDue)
        {
            return;
        }

        if (_commands.HasOlder(Environment.TickCount64 - (long)_link.RequestTimeout.TotalMilliseconds))
        {
            Fail($"a request had no answer for {_link.RequestTimeout.TotalSeconds} s");
        }
        else
        {
            Tick();
        }
    }
}
