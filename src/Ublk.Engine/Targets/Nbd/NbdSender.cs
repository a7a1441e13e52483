using System.Runtime.CompilerServices;
using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Targets.Nbd;

/// <summary>Sends requests in the order they come in: all of a turn in one message, and one message at a time.</summary>
internal sealed unsafe class NbdSender
{
    // A message of more would leave the queue's replies waiting, and the kernel takes 1024 vectors (UIO_MAXIOV).
    private const int MaxVectors = 512;
    private const long MaxBytes = 64 << 20;

    private readonly NbdConnection _connection;
    private readonly IoQueue _queue;
    private readonly Action _onSent;

    // The kernel reads them.
    private readonly Libc.IoVector[] _vectors = GC.AllocateArray<Libc.IoVector>(MaxVectors, pinned: true);
    private readonly Libc.MessageHeader[] _message = GC.AllocateArray<Libc.MessageHeader>(1, pinned: true);

    private NbdCommand? _first;
    private NbdCommand? _last;
    private NbdCommand? _notGathered;
    private long _bytes;
    private uint _number;
    private ValueTaskAwaiter<int> _sending;

    /// <summary>Sends by a queue's ring.</summary>
    public NbdSender(NbdConnection connection, IoQueue queue)
    {
        _connection = connection;
        _queue = queue;
        _onSent = OnSent;
        _message[0].Vectors = (nint)Unsafe.AsPointer(ref _vectors[0]);
    }

    /// <summary>Whether a message is in flight: the kernel reads requests' data.</summary>
    public bool IsSending { get; private set; }

    /// <summary>Has a request sent.</summary>
    public void Add(NbdCommand command)
    {
        if (_last is null)
        {
            _first = command;
        }
        else
        {
            _last.Next = command;
        }

        _last = command;
        _notGathered ??= command;
        if (!IsSending)
        {
            Send();
        }
        else if (!_queue.IsSubmitted(_number))
        {
            Gather();
        }
    }

    private void Send()
    {
        IsSending = true;
        _message[0].VectorCount = 0;
        _bytes = 0;
        _notGathered = _first;
        Gather();
        Await(_queue.SendMessageAsync(_connection.File, (Libc.MessageHeader*)Unsafe.AsPointer(ref _message[0]), out _number));
    }

    private void Await(ValueTask<int> sending)
    {
        _sending = sending.GetAwaiter();
        _sending.UnsafeOnCompleted(_onSent);
    }

    private void Gather()
    {
        int count = (int)_message[0].VectorCount;
        while (_notGathered is { } command && count + 2 <= MaxVectors && _bytes < MaxBytes)
        {
            count += command.Describe(_vectors.AsSpan(count));
            _bytes += command.Unsent;
            _notGathered = command.Next;
        }

        _message[0].VectorCount = (nuint)count;
    }

    private void OnSent()
    {
        int sent = _sending.GetResult();
        if (sent < 0 && sent is not (-Libc.EINTR or -Libc.EAGAIN))
        {
            IsSending = false;
            _connection.Fail($"sending failed: {Libc.Describe(-sent)}");
            return;
        }

        // A request that comes meanwhile only joins the list.
        Advance(int.Max(sent, 0));
        IsSending = false;
        if (!_connection.IsOpen)
        {
            _connection.Settle();
        }
        else if (_first is not null)
        {
            Send();
        }
    }

    // A reply may be seen before this: the request's data was in use until now.
    private void Advance(int sent)
    {
        while (_first is { } command && sent > 0)
        {
            int part = int.Min(sent, command.Unsent);
            sent -= part;
            command.Unsent -= part;
            if (command.Unsent > 0)
            {
                return;
            }

            _first = command.Next;
            _last = _first is null ? null : _last;
            command.Next = null;
            if (command.IsReplied)
            {
                _connection.Answer(command);
            }
        }
    }
}
