using System.Runtime.CompilerServices;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Rings;
using Ublk.Targets;
using Ublk.Targets.Nbd;

namespace Ublk.Exports.Server;

/// <summary>Serves one client after the handshake: its requests go to the target as those of a device's queue do.</summary>
/// <remarks>Everything happens on the thread that made the session.</remarks>
internal sealed class ClientSession : IDisposable
{
    // As many as qemu's server takes of one client.
    private const int Depth = 16;

    private readonly ExportedDisk _disk;
    private readonly BlockTarget _target;
    private readonly NbdSocket _socket;
    private readonly TimeSpan _silenceTimeout;
    private readonly NbdHeaderForm _form;
    private readonly IoQueue _queue;
    private readonly BufferMemory _memory;
    private readonly AlignedBuffer _head = new(4096);
    private readonly ClientInput _input;
    private readonly ReplySender _sender;
    private readonly BlockStatus _status;
    private readonly FreeRequest _freed = new();
    private ExportRequest? _free;
    private bool _isFreeAwaited;
    private bool _isReceiving = true;
    private int _active;
    private string? _fault;
    private IoTaskAwaiter<int> _receiving;

    /// <summary>Prepares for a client.</summary>
    /// <param name="disk">The export.</param>
    /// <param name="socket">The connection, after its handshake; it stays the caller's.</param>
    /// <param name="agreement">What was agreed on.</param>
    /// <param name="silenceTimeout">How long a client may be silent in the middle of a message, or take no reply.</param>
    /// <exception cref="UblkException">The kernel refuses something.</exception>
    public ClientSession(ExportedDisk disk, NbdSocket socket, ClientAgreement agreement, TimeSpan silenceTimeout)
    {
        _silenceTimeout = silenceTimeout;
        _disk = disk;
        _target = disk.Target;
        _socket = socket;
        _form = agreement.Headers;
        _status = new BlockStatus(disk, agreement);

        // A read covers whole blocks, which begin before it and end after it.
        int block = _target.Geometry.LogicalBlockSize;
        int room = (disk.MaxPayload + (2 * block) + 4095) / 4096 * 4096;
        int file = _target.Files.Count;
        _queue = new IoQueue(Depth, [], [.. _target.Files, socket.Handle]);
        _memory = new BufferMemory(Depth, room);
        for (int slot = 0; slot < Depth; slot++)
        {
            _free = new ExportRequest(this, new IoRequest(_queue, slot, slot), new IoBuffer(_memory.AddressOf(slot), room))
            {
                Next = _free,
            };
        }

        _input = new ClientInput(_queue, file, socket.Tls);
        _sender = socket.Tls is { } tls
            ? new TlsReplySender(_queue, file, Release, tls)
            : new PlainReplySender(_queue, file, Release);
    }

    /// <summary>Serves the client until it leaves.</summary>
    /// <returns>Why it was dropped; null where it left by itself.</returns>
    public string? Run()
    {
        Await(ReceiveAsync());
        while (_isReceiving || _active > 0 || _sender.IsSending)
        {
            if (_queue.RunTurn(_silenceTimeout) == -Libc.ETIME)
            {
                OnQuiet();
            }

            if (_sender.IsBroken)
            {
                _socket.Shutdown();
            }
        }

        return _fault;
    }

    /// <summary>The target has answered a request.</summary>
    /// <param name="request">The request.</param>
    /// <param name="result">Its length or 0, or a negative errno.</param>
    public void Complete(ExportRequest request, int result)
    {
        if (result >= 0 && NeedsFlush(request))
        {
            request.Request.Load(IoOperation.Flush, false, false, 0, 0, default);
            Handle(request);
            return;
        }

        if (result < 0)
        {
            request.ReplyError(_form, NbdError.FromErrno(-result));
        }
        else if (request.Head.Type == NbdCommandType.Read)
        {
            int skipped = (int)((long)request.Head.Offset - request.Request.Offset);
            request.ReplyData(_form, request.Memory.Slice(skipped, (int)request.Head.Length));
        }
        else
        {
            request.ReplyDone(_form);
        }

        _sender.Add(request);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _queue.Dispose();
        _sender.Dispose();
        _input.Dispose();
        _memory.Dispose();
        _head.Dispose();
    }

    private async IoTask<int> ReceiveAsync()
    {
        while (true)
        {
            _input.EndRequest();
            int result = await _input.FillAsync(_head.Part(0, NbdHeaders.RequestLength(_form)));
            if (result < 0)
            {
                return result;
            }

            if (!NbdHeaders.TryReadRequest(_head.Span, _form, out NbdRequest head))
            {
                _fault = "a request has a wrong magic number";
                return -Libc.EBADMSG;
            }

            if (head.Type == NbdCommandType.Disconnect)
            {
                return 0;
            }

            // What is longer than agreed cannot be skipped: it may be any number of bytes.
            if (head.Payload > (ulong)_disk.MaxPayload)
            {
                _fault = $"a request has {head.Payload} bytes of data; {_disk.MaxPayload} are allowed";
                return -Libc.EBADMSG;
            }

            if (_free is null)
            {
                _isFreeAwaited = true;
                await _freed.Task;
            }

            ExportRequest request = _free!;
            _free = request.Next;
            request.Next = null;
            _active++;
            request.Load(head);
            if (head.Payload > 0 && await _input.FillAsync(request.Memory.Slice(0, (int)head.Payload)) is < 0 and var failure)
            {
                Release(request);
                return failure;
            }

            Start(request);
        }
    }

    private void OnQuiet()
    {
        if (_active == 0)
        {
            _memory.Trim();
        }

        // A client is not dropped while the storage delays its requests.
        if ((_input.IsInside && !_isFreeAwaited) || _sender.IsSending)
        {
            _fault ??= "it stopped in the middle of a message";
            _socket.Shutdown();
        }
    }

    private void Await(IoTask<int> receiving)
    {
        _receiving = receiving.GetAwaiter();
        if (receiving.IsCompleted)
        {
            OnReceived();
        }
        else
        {
            _receiving.UnsafeOnCompleted(OnReceived);
        }
    }

    // A client that leaves between two requests is no fault.
    private void OnReceived()
    {
        _isReceiving = false;
        int result;
        try
        {
            result = _receiving.GetResult();
        }
        catch (Exception exception)
        {
            // The session goes on until the kernel has left the buffers of the requests in flight.
            _fault = exception.Message;
            _socket.Shutdown();
            return;
        }

        if (result < 0 && (result != -Libc.ENOLINK || _input.IsInside))
        {
            _fault ??= $"receiving its requests failed: {Libc.Describe(-result)}";
        }
    }

    private void Start(ExportRequest request)
    {
        int result = Load(request);
        if (result < 0)
        {
            Complete(request, result);
        }
        else if (request.Head.Type == NbdCommandType.BlockStatus)
        {
            request.ReplyChunks(request.Memory.Slice(0, result));
            _sender.Add(request);
        }
        else
        {
            Handle(request);
        }
    }

    private void Handle(ExportRequest request)
    {
        IoTask<int> answer;
        try
        {
            answer = _target.HandleAsync(request.Request);
        }
        catch (Exception exception)
        {
            answer = IoTask<int>.FromException(exception);
        }

        request.Await(answer);
    }

    // Targets need not make ranges that are zeroed or discarded durable by themselves.
    private bool NeedsFlush(ExportRequest request) => request.Request.IsForceUnitAccess
        && (request.Request.Operation != IoOperation.Write || !_target.Geometry.ForceUnitAccess);

    // Checks a request and makes it one of the target. Of block status, bytes of the reply.
    private int Load(ExportRequest request)
    {
        ref readonly NbdRequest head = ref request.Head;
        if (head.Payload > 0 && head.Type != NbdCommandType.Write)
        {
            return -Libc.EINVAL;
        }

        bool changes = head.Type.Changes();
        if (changes && _target.Geometry.ReadOnly)
        {
            return -Libc.EPERM;
        }

        bool isFlush = head.Type == NbdCommandType.Flush;
        if (!isFlush && (head.Length == 0 || head.Offset > (ulong)_disk.Size || head.Length > (ulong)_disk.Size - head.Offset))
        {
            return changes ? -Libc.ENOSPC : -Libc.EINVAL;
        }

        int block = _target.Geometry.LogicalBlockSize;
        bool isUnaligned = (head.Offset | head.Length) % (ulong)block != 0;
        bool isDurable = (head.Flags & NbdCommandFlags.ForceUnitAccess) != 0;
        switch (head.Type)
        {
            case NbdCommandType.Read when head.Length <= (ulong)_disk.MaxPayload:
                long start = (long)head.Offset / block * block;
                long length = ((long)(head.Offset + head.Length) + block - 1) / block * block - start;
                request.Request.Load(IoOperation.Read, false, false, start, length, request.Memory.Slice(0, (int)length));
                return 0;
            case NbdCommandType.Write when !isUnaligned && head.Payload == head.Length:
                request.Request.Load(IoOperation.Write, isDurable, false, (long)head.Offset, (long)head.Length,
                    request.Memory.Slice(0, (int)head.Length));
                return 0;
            case NbdCommandType.Flush:
                request.Request.Load(IoOperation.Flush, false, false, 0, 0, default);
                return 0;
            case NbdCommandType.Trim when !isUnaligned && _target.Geometry.DiscardGranularity > 0:
                request.Request.Load(IoOperation.Discard, isDurable, false, (long)head.Offset, (long)head.Length, default);
                return 0;
            case NbdCommandType.WriteZeroes when !isUnaligned && _target.Geometry.WriteZeroes:
                bool keeps = (head.Flags & NbdCommandFlags.NoHole) != 0;
                request.Request.Load(IoOperation.WriteZeroes, isDurable, keeps, (long)head.Offset, (long)head.Length, default);
                return 0;
            case NbdCommandType.BlockStatus when _status.IsOffered:
                return _status.Write(request.Head, request.Memory.Span);
            default:
                return -Libc.EINVAL;
        }
    }

    private void Release(ExportRequest request)
    {
        request.Next = _free;
        _free = request;
        _active--;
        if (_isFreeAwaited)
        {
            _isFreeAwaited = false;
            _freed.Complete(0);
        }
    }

    /// <summary>Completes when a request is free again.</summary>
    private sealed class FreeRequest : ReusableTask<int>
    {
        protected override void Recycle()
        {
        }
    }
}
