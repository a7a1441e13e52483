using System.Runtime.CompilerServices;
using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Exports.Server;

/// <summary>Sends replies in the order they come in: all of a turn in one message, and one message at a time.</summary>
internal abstract unsafe class ReplySender : IDisposable
{
    // The kernel takes 1024 vectors (UIO_MAXIOV).
    private protected const int MaxVectors = 128;

    private readonly IoQueue _queue;
    private readonly int _file;
    private readonly Action<ExportRequest> _onSent;
    private readonly Action _onMessageSent;

    // The kernel reads it.
    private readonly Libc.MessageHeader[] _message = GC.AllocateArray<Libc.MessageHeader>(1, pinned: true);

    private ExportRequest? _last;
    private uint _number;
    private bool _isGathering;
    private IoTaskAwaiter<int> _sending;

    /// <summary>Sends by a queue's ring.</summary>
    /// <param name="queue">The queue.</param>
    /// <param name="file">The socket's index among its files.</param>
    /// <param name="onSent">Takes each request whose reply is sent, or cannot be sent any more.</param>
    private protected ReplySender(IoQueue queue, int file, Action<ExportRequest> onSent)
    {
        _queue = queue;
        _file = file;
        _onSent = onSent;
        _onMessageSent = OnMessageSent;
        _message[0].Vectors = (nint)Unsafe.AsPointer(ref Vectors[0]);
    }

    /// <summary>Whether a message is in flight: the kernel reads the replies.</summary>
    public bool IsSending { get; private set; }

    /// <summary>Whether the client is gone.</summary>
    public bool IsBroken { get; private set; }

    /// <summary>What the message consists of; the kernel reads it.</summary>
    private protected Libc.IoVector[] Vectors { get; } = GC.AllocateArray<Libc.IoVector>(MaxVectors, pinned: true);

    /// <summary>The first reply that is not all sent; those behind it follow.</summary>
    private protected ExportRequest? First { get; private set; }

    /// <summary>Has a reply sent.</summary>
    public void Add(ExportRequest request)
    {
        if (_last is null)
        {
            First = request;
        }
        else
        {
            _last.Next = request;
        }

        _last = request;
        Send();
    }

    /// <summary>Sends what there is. A message that the kernel has not taken yet becomes longer.</summary>
    public void Send()
    {
        if (IsBroken)
        {
            Drop();
            return;
        }

        if (_isGathering || (IsSending && _queue.IsSubmitted(_number)))
        {
            return;
        }

        // A request that is free again may be answered at once, and only joins the list.
        _isGathering = true;
        int count = Gather(IsSending);
        _isGathering = false;
        if (count < 0)
        {
            Break();
            return;
        }

        _message[0].VectorCount = (nuint)count;
        if (count > 0 && !IsSending)
        {
            IsSending = true;
            Libc.MessageHeader* message = (Libc.MessageHeader*)Unsafe.AsPointer(ref _message[0]);
            Await(_queue.SendMessageAsync(_file, message, Length, isLinked: false, out _number));
        }
    }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
    }

    /// <summary>Bytes of the message.</summary>
    private protected long Length { get; set; }

    /// <summary>Describes, by the vectors, what is to be sent and fits.</summary>
    /// <param name="isMore">Whether it is a message that was described before and becomes longer.</param>
    /// <returns>How many vectors, or a negative errno where nothing can be sent any more.</returns>
    private protected abstract int Gather(bool isMore);

    /// <summary>Bytes of the message were sent.</summary>
    private protected abstract void Note(int sent);

    /// <summary>Takes bytes from the replies, the first ones first.</summary>
    private protected void Advance(int bytes)
    {
        while (First is { } request && bytes > 0)
        {
            int part = int.Min(bytes, request.Unsent);
            bytes -= part;
            request.Unsent -= part;
            if (request.Unsent == 0)
            {
                RemoveFirst();
            }
        }
    }

    private void Await(IoTask<int> sending)
    {
        _sending = sending.GetAwaiter();
        _sending.UnsafeOnCompleted(_onMessageSent);
    }

    private void OnMessageSent()
    {
        int sent = _sending.GetResult();
        IsSending = false;
        if (sent is < 0 and not (-Libc.EINTR or -Libc.EAGAIN))
        {
            Break();
            return;
        }

        _isGathering = true;
        Note(int.Max(sent, 0));
        _isGathering = false;
        Send();
    }

    // The client is gone, and nobody waits for the replies.
    private void Break()
    {
        IsBroken = true;
        Drop();
    }

    private void Drop()
    {
        while (First is not null && !IsSending)
        {
            RemoveFirst();
        }
    }

    private void RemoveFirst()
    {
        ExportRequest request = First!;
        First = request.Next;
        _last = First is null ? null : _last;
        request.Next = null;
        _onSent(request);
    }
}
