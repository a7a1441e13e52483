using System.Runtime.CompilerServices;
using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Targets.Nbd;

/// <summary>Receives replies while any are due: many small ones at once, and the data of a long read to where it belongs.</summary>
internal sealed unsafe class NbdReceiver : IDisposable
{
    // Several replies of 4 KiB; a reply's head must fit whatever is left of the one before.
    private const int StagingLength = 64 << 10;

    private readonly NbdConnection _connection;
    private readonly IoQueue _queue;
    private readonly NbdReplies _replies;
    private readonly AlignedBuffer _staging = new(StagingLength);
    private readonly Action _onReceived;

    // The kernel reads them.
    private readonly Libc.IoVector[] _vectors = GC.AllocateArray<Libc.IoVector>(2, pinned: true);
    private readonly Libc.MessageHeader[] _message = GC.AllocateArray<Libc.MessageHeader>(1, pinned: true);

    private int _staged;
    private int _direct;
    private ValueTaskAwaiter<int> _receiving;

    /// <summary>Receives by a queue's ring.</summary>
    public NbdReceiver(NbdConnection connection, IoQueue queue, NbdReplies replies)
    {
        _connection = connection;
        _queue = queue;
        _replies = replies;
        _onReceived = OnReceived;
        _message[0].Vectors = (nint)Unsafe.AsPointer(ref _vectors[0]);
    }

    /// <summary>Whether data may come: the kernel writes to requests' buffers.</summary>
    public bool IsReceiving { get; private set; }

    /// <summary>Receives until no reply is due.</summary>
    public void Start()
    {
        if (!IsReceiving)
        {
            Receive(expectsNothing: true);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _staging.Dispose();

    private void Receive(bool expectsNothing)
    {
        IsReceiving = true;
        int count = 0;
        _direct = _replies.Payload.Length;
        if (_direct > 0)
        {
            _vectors[count++] = new Libc.IoVector { Base = _replies.Payload.Address, Length = (nuint)_direct };
        }

        _vectors[count++] = new Libc.IoVector { Base = _staging.Address + _staged, Length = (nuint)(StagingLength - _staged) };
        _message[0].VectorCount = (nuint)count;
        Await(_queue.ReceiveMessageAsync(_connection.File, (Libc.MessageHeader*)Unsafe.AsPointer(ref _message[0]), expectsNothing));
    }

    private void Await(ValueTask<int> receiving)
    {
        _receiving = receiving.GetAwaiter();
        _receiving.UnsafeOnCompleted(_onReceived);
    }

    private void OnReceived()
    {
        int received = _receiving.GetResult();
        if (received is -Libc.EINTR or -Libc.EAGAIN)
        {
            Receive(expectsNothing: false);
            return;
        }

        // Until every byte is dealt with, so that a request that comes meanwhile does not start another one.
        string? failure = received > 0 ? TryTake(received)
            : received == 0 ? "the server closed the connection"
            : $"receiving failed: {Libc.Describe(-received)}";
        IsReceiving = false;
        if (failure is not null)
        {
            _connection.Fail(failure);
        }
        else if (_connection.IsReplyDue)
        {
            // Of a connection that was given up, too: what has come is known.
            Receive(expectsNothing: false);
        }
        else if (!_connection.IsOpen)
        {
            _connection.Settle();
        }
        else if (_staged > 0)
        {
            _connection.Fail("the server sent more than was asked for");
        }
    }

    private string? TryTake(int received)
    {
        try
        {
            int direct = int.Min(received, _direct);
            if (direct > 0)
            {
                _replies.Advance(direct);
            }

            _staged += received - direct;
            Span<byte> staged = _staging.Span[.._staged];
            int taken = _replies.Take(staged);
            staged[taken..].CopyTo(staged);
            _staged -= taken;
            return null;
        }
        catch (UblkException exception)
        {
            return exception.Message;
        }
    }
}
