using System.Runtime.CompilerServices;
using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Targets.Nbd;

/// <summary>Sends requests in the order they come in: all of a turn in one message, and one message at a time.</summary>
internal abstract unsafe class NbdSender : IDisposable
{
    // The kernel takes 1024 vectors (UIO_MAXIOV); a message of more than this would leave the queue's replies waiting.
    private protected const int MaxVectors = 512;

    private readonly NbdConnection _connection;
    private readonly IoQueue _queue;
    private readonly Action _onMessageSent;
    private readonly Action _onTailSent;

    // The kernel reads it.
    private readonly Libc.MessageHeader[] _message = GC.AllocateArray<Libc.MessageHeader>(1, pinned: true);

    private NbdCommand? _last;
    private uint _number;
    private int _operations;
    private int _errno;
    private IoTaskAwaiter<int> _messageSending;
    private IoTaskAwaiter<int> _tailSending;

    /// <summary>Sends by a queue's ring.</summary>
    private protected NbdSender(NbdConnection connection, IoQueue queue)
    {
        _connection = connection;
        _queue = queue;
        _onMessageSent = () => OnSent(_messageSending.GetResult());
        _onTailSent = () => OnSent(_tailSending.GetResult());
        _message[0].Vectors = (nint)Unsafe.AsPointer(ref Vectors[0]);
    }

    /// <summary>Whether a message is in flight: the kernel reads requests' data.</summary>
    public bool IsSending => _operations > 0;

    /// <summary>What the message consists of; the kernel reads it.</summary>
    private protected Libc.IoVector[] Vectors { get; } = GC.AllocateArray<Libc.IoVector>(MaxVectors, pinned: true);

    /// <summary>Bytes of the message and of what follows it.</summary>
    private protected long Length { get; set; }

    /// <summary>Data that follows the message and is not in memory; empty for none.</summary>
    private protected IoBuffer Tail { get; set; }

    /// <summary>The first request that is not all sent; those behind it follow.</summary>
    private protected NbdCommand? First { get; private set; }

    /// <summary>Has a request sent.</summary>
    public void Add(NbdCommand command)
    {
        if (_last is null)
        {
            First = command;
        }
        else
        {
            _last.Next = command;
        }

        _last = command;
        OnAdded(command);
        if (!IsSending)
        {
            Send();
        }
        else if (Tail.Length == 0 && !_queue.IsSubmitted(_number))
        {
            _message[0].VectorCount = (nuint)Gather();
        }
    }

    /// <summary>Sends what there is, if there is no message in flight.</summary>
    public void Send()
    {
        if (IsSending)
        {
            return;
        }

        Begin();
        _message[0].VectorCount = (nuint)Gather();
        if (_message[0].VectorCount > 0)
        {
            Libc.MessageHeader* message = (Libc.MessageHeader*)Unsafe.AsPointer(ref _message[0]);
            AwaitMessage(_queue.SendMessageAsync(_connection.File, message, Length, isLinked: Tail.Length > 0, out _number));
        }

        if (Tail.Length > 0)
        {
            AwaitTail(_queue.SendAsync(_connection.File, Tail));
        }
    }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
    }

    /// <summary>A request has joined the others.</summary>
    private protected abstract void OnAdded(NbdCommand command);

    /// <summary>A message begins.</summary>
    private protected abstract void Begin();

    /// <summary>Takes into the message what there is room for, behind what is in it.</summary>
    /// <returns>How many vectors it has.</returns>
    private protected abstract int Gather();

    /// <summary>Bytes of the message were sent.</summary>
    private protected abstract void Note(int sent);

    /// <summary>Takes bytes from the requests, the first ones first.</summary>
    private protected void Advance(int bytes)
    {
        while (First is { } command && bytes > 0)
        {
            int part = int.Min(bytes, command.Unsent);
            bytes -= part;
            command.Unsent -= part;
            if (command.Unsent > 0)
            {
                return;
            }

            First = command.Next;
            _last = First is null ? null : _last;
            command.Next = null;

            // The reply may be seen first: the request's data was in use until now.
            if (command.IsReplied)
            {
                _connection.Answer(command);
            }
        }
    }

    private void AwaitMessage(IoTask<int> sending)
    {
        _operations++;
        _messageSending = sending.GetAwaiter();
        _messageSending.UnsafeOnCompleted(_onMessageSent);
    }

    private void AwaitTail(IoTask<int> sending)
    {
        _operations++;
        _tailSending = sending.GetAwaiter();
        _tailSending.UnsafeOnCompleted(_onTailSent);
    }

    private void OnSent(int sent)
    {
        // The end of a message before its tail has the reason for both.
        if (sent < 0 && sent is not (-Libc.EINTR or -Libc.EAGAIN or -Libc.ECANCELED))
        {
            _errno = -sent;
        }

        // A request that comes meanwhile only joins the list.
        Note(int.Max(sent, 0));
        if (--_operations > 0)
        {
            return;
        }

        Tail = default;
        if (_errno != 0)
        {
            _connection.Fail($"sending failed: {Libc.Describe(_errno)}");
        }
        else if (_connection.IsOpen)
        {
            Send();
        }
        else
        {
            _connection.Settle();
        }
    }
}
