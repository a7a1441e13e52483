using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets.Nbd;

namespace Ublk.Exports.Server;

/// <summary>A request of a client, and its reply. The object is used again for another one.</summary>
internal sealed unsafe class ExportRequest
{
    // A chunk's header, the offset and length of a hole.
    private const int MaxHeader = 44;

    private readonly ClientSession _session;
    private readonly Action _onAnswered;
    private readonly byte[] _header = GC.AllocateArray<byte>(MaxHeader, pinned: true);
    private IoTask<int> _answer;
    private int _headerLength;
    private IoBuffer _body;
    private NbdRequest _head;

    /// <summary>A request of a session.</summary>
    /// <param name="session">The session.</param>
    /// <param name="request">What the target sees.</param>
    /// <param name="memory">For the data, with room for the blocks around it.</param>
    public ExportRequest(ClientSession session, IoRequest request, IoBuffer memory)
    {
        _session = session;
        _onAnswered = Finish;
        Request = request;
        Memory = memory;
    }

    /// <summary>What the target sees.</summary>
    public IoRequest Request { get; }

    /// <summary>For the data.</summary>
    public IoBuffer Memory { get; }

    /// <summary>As the client sent it.</summary>
    public ref readonly NbdRequest Head => ref _head;

    /// <summary>The next one in a list.</summary>
    public ExportRequest? Next { get; set; }

    /// <summary>Bytes of the reply that are not sent yet.</summary>
    public int Unsent { get; set; }

    /// <summary>Makes it a client's next request.</summary>
    public void Load(in NbdRequest head) => _head = head;

    /// <summary>Takes the target's answer when it is there.</summary>
    public void Await(IoTask<int> answer)
    {
        _answer = answer;
        if (answer.IsCompleted)
        {
            Finish();
        }
        else
        {
            answer.GetAwaiter().UnsafeOnCompleted(_onAnswered);
        }
    }

    /// <summary>The reply of what has no data.</summary>
    public void ReplyDone(NbdHeaderForm form)
    {
        if (form == NbdHeaderForm.Simple)
        {
            ReplySimple(0, default);
            return;
        }

        SetReply(NbdHeaders.WriteChunk(_header, form, _head, isDone: true, NbdChunkType.None, 0), default);
    }

    /// <summary>The reply of what failed.</summary>
    /// <param name="form">The form of headers.</param>
    /// <param name="error">The error of the protocol.</param>
    public void ReplyError(NbdHeaderForm form, uint error)
    {
        if (form == NbdHeaderForm.Simple)
        {
            ReplySimple(error, default);
            return;
        }

        // No text follows.
        int length = NbdHeaders.WriteChunk(
            _header, form, _head, isDone: true, NbdChunkType.Error, sizeof(uint) + sizeof(ushort));
        BinaryPrimitives.WriteUInt32BigEndian(_header.AsSpan(length), error);
        BinaryPrimitives.WriteUInt16BigEndian(_header.AsSpan(length + sizeof(uint)), 0);
        SetReply(length + sizeof(uint) + sizeof(ushort), default);
    }

    /// <summary>The reply of a read. Zeroes alone are a hole, which has no data to send.</summary>
    public void ReplyData(NbdHeaderForm form, IoBuffer data)
    {
        if (form == NbdHeaderForm.Simple)
        {
            ReplySimple(0, data);
            return;
        }

        bool isHole = data.Span.IndexOfAnyExcept((byte)0) < 0;
        int payload = sizeof(ulong) + (isHole ? sizeof(uint) : data.Length);
        int length = NbdHeaders.WriteChunk(
            _header, form, _head, isDone: true, isHole ? NbdChunkType.OffsetHole : NbdChunkType.OffsetData, payload);
        BinaryPrimitives.WriteUInt64BigEndian(_header.AsSpan(length), _head.Offset);
        length += sizeof(ulong);
        if (isHole)
        {
            BinaryPrimitives.WriteUInt32BigEndian(_header.AsSpan(length), (uint)data.Length);
            length += sizeof(uint);
        }

        SetReply(length, isHole ? default : data);
    }

    /// <summary>A reply whose chunks are in memory.</summary>
    public void ReplyChunks(IoBuffer chunks) => SetReply(0, chunks);

    /// <summary>Describes what is not sent yet.</summary>
    /// <param name="vectors">Room for two.</param>
    /// <returns>How many are used.</returns>
    public int Describe(Span<Libc.IoVector> vectors) =>
        NbdMessage.Describe(_header, _headerLength, _body, _headerLength + _body.Length - Unsent, vectors);

    /// <summary>Copies what is not sent yet, as far as there is room.</summary>
    /// <returns>How many bytes.</returns>
    public int CopyUnsentTo(Span<byte> room)
    {
        Span<Libc.IoVector> vectors = stackalloc Libc.IoVector[2];
        return NbdMessage.Copy(vectors[..Describe(vectors)], room);
    }

    private void ReplySimple(uint error, IoBuffer data)
    {
        MemoryMarshal.Write(_header, new NbdSimpleReply(error, _head.Cookie));
        SetReply(sizeof(NbdSimpleReply), data);
    }

    private void SetReply(int headerLength, IoBuffer body)
    {
        _headerLength = headerLength;
        _body = body;
        Unsent = headerLength + body.Length;
    }

    private void Finish()
    {
        int result;
        try
        {
            result = _answer.GetAwaiter().GetResult();
        }
        catch (Exception exception)
        {
            result = RequestResult.ForException(exception);
        }

        _answer = default;
        _session.Complete(this, RequestResult.ForDriver(Request, result));
    }
}
