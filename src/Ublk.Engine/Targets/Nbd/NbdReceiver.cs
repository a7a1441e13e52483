using System.Runtime.CompilerServices;
using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Targets.Nbd;

/// <summary>Receives replies while any are due: many small ones at once, and the data of a long read to where it belongs.</summary>
internal abstract unsafe class NbdReceiver : IDisposable
{
    /// <summary>Several replies of 4 KiB; a reply's head must fit whatever is left of the one before.</summary>
    private protected const int StagingLength = 64 << 10;

    private readonly Action _onReceived;

    // The kernel reads it.
    private readonly Libc.MessageHeader[] _message = GC.AllocateArray<Libc.MessageHeader>(1, pinned: true);

    private IoTaskAwaiter<int> _receiving;

    /// <summary>Receives by a queue's ring.</summary>
    private protected NbdReceiver(NbdConnection connection, IoQueue queue, NbdReplies replies)
    {
        Connection = connection;
        Replies = replies;
        Queue = queue;
        _onReceived = OnReceived;
        _message[0].Vectors = (nint)Unsafe.AsPointer(ref Vectors[0]);
    }

    /// <summary>Whether data may come: the kernel writes to requests' buffers.</summary>
    public bool IsReceiving { get; private set; }

    /// <summary>The connection.</summary>
    private protected NbdConnection Connection { get; }

    /// <summary>The queue.</summary>
    private protected IoQueue Queue { get; }

    /// <summary>Where the bytes go that have come.</summary>
    private protected NbdReplies Replies { get; }

    /// <summary>Where the kernel puts what comes.</summary>
    private protected Libc.IoVector[] Vectors { get; } = GC.AllocateArray<Libc.IoVector>(2, pinned: true);

    /// <summary>Bytes of a reply that is not whole, decrypted.</summary>
    private protected AlignedBuffer Staging { get; } = new(StagingLength);

    /// <summary>How many of them there are.</summary>
    private protected int Staged { get; set; }

    /// <summary>Receives until no reply is due.</summary>
    public void Start()
    {
        if (!IsReceiving)
        {
            Receive(expectsNothing: true);
        }
    }

    /// <inheritdoc/>
    public virtual void Dispose() => Staging.Dispose();

    /// <summary>Receives what comes next, to where it belongs.</summary>
    /// <param name="expectsNothing">Whether no data can be there yet.</param>
    private protected abstract IoTask<int> ReceiveAsync(bool expectsNothing);

    /// <summary>Deals with bytes that have come.</summary>
    /// <returns>The reason for which nothing more can come; null where it can.</returns>
    /// <exception cref="UblkException">The server does not keep to the protocol.</exception>
    private protected abstract string? Take(int received);

    /// <summary>Reads the replies in the staged bytes, and keeps what is not whole.</summary>
    private protected void TakeStaged() => RemoveStaged(Replies.Take(Staging.Span[..Staged]));

    /// <summary>Removes the first of the staged bytes.</summary>
    private protected void RemoveStaged(int count)
    {
        Staging.Span[count..Staged].CopyTo(Staging.Span);
        Staged -= count;
    }

    /// <summary>Receives to the memory of <see cref="Vectors"/>.</summary>
    /// <param name="count">How many of them.</param>
    /// <param name="expectsNothing">Whether no data can be there yet.</param>
    /// <param name="isWhole">Whether to wait until all of them are full.</param>
    private protected IoTask<int> ReceiveVectorsAsync(int count, bool expectsNothing, bool isWhole)
    {
        _message[0].VectorCount = (nuint)count;
        return Queue.ReceiveMessageAsync(
            Connection.File, (Libc.MessageHeader*)Unsafe.AsPointer(ref _message[0]), expectsNothing, isWhole);
    }

    private void Receive(bool expectsNothing)
    {
        IsReceiving = true;
        Await(ReceiveAsync(expectsNothing));
    }

    private void Await(IoTask<int> receiving)
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
            Connection.Fail(failure);
        }
        else if (Connection.IsReplyDue)
        {
            // Of a connection that was given up, too: what has come is known.
            Receive(expectsNothing: false);
        }
        else if (!Connection.IsOpen)
        {
            Connection.Settle();
        }
        else if (Staged > 0)
        {
            Connection.Fail("the server sent more than was asked for");
        }
    }

    private string? TryTake(int received)
    {
        try
        {
            return Take(received);
        }
        catch (UblkException exception)
        {
            return exception.Message;
        }
    }
}
