using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Targets.Nbd;

/// <summary>Reads the server's replies, simple and structured, from bytes that come in any pieces.</summary>
/// <param name="commands">The requests that they may belong to.</param>
/// <param name="answer">Called for each request whose reply is whole.</param>
/// <param name="form">Which headers were agreed on.</param>
internal sealed unsafe class NbdReplies(NbdCommandPool commands, Action<NbdCommand> answer, NbdHeaderForm form)
{
    // With its head less than the receiver has room for.
    private const int MaxErrorPayload = 16 << 10;

    // The read whose data comes next, and whether that is the end of its reply.
    private NbdCommand? _reading;
    private bool _isLast;

    // Of the head that is not whole: its length as far as it is known, and with its data where that is known.
    private int _head;
    private int _chunk;

    /// <summary>Where the bytes that come next go; empty where they are a reply's head.</summary>
    public IoBuffer Payload { get; private set; }

    /// <summary>Whether <see cref="Payload"/>, which is not in memory, is to be filled with zeroes instead.</summary>
    public bool IsHole { get; private set; }

    /// <summary>How many bytes from the start of a head are certainly none of a read's data.</summary>
    public int HeadLimit => int.Max(NbdHeaders.DataStart(form), _head);

    /// <summary>The length of the chunk whose head is not whole, with its data; 0 where it is not known.</summary>
    public int ChunkLength => _chunk;

    /// <summary>Takes bytes that were received to <see cref="Payload"/>.</summary>
    public void Advance(int count)
    {
        Payload = Payload.Slice(count);
        if (Payload.Length == 0)
        {
            NbdCommand command = _reading!;
            _reading = null;
            Payload = default;
            IsHole = false;
            if (_isLast)
            {
                Finish(command);
            }
        }
    }

    /// <summary>Takes as many bytes as can be understood; those of a <see cref="Payload"/> only where that is in memory.</summary>
    /// <returns>How many; the rest must come again, with more.</returns>
    /// <exception cref="UblkException">The server does not keep to the protocol.</exception>
    public int Take(ReadOnlySpan<byte> bytes)
    {
        int total = bytes.Length;
        _head = 0;
        _chunk = 0;
        while (!bytes.IsEmpty && Payload.IsMemory)
        {
            int taken = Payload.Length > 0 ? TakePayload(bytes) : TakeHead(bytes);
            if (taken == 0)
            {
                break;
            }

            bytes = bytes[taken..];
        }

        return total - bytes.Length;
    }

    private int TakePayload(ReadOnlySpan<byte> bytes)
    {
        int count = int.Min(bytes.Length, Payload.Length);
        bytes[..count].CopyTo(Payload.Span);
        Advance(count);
        return count;
    }

    private int TakeHead(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < sizeof(uint))
        {
            return 0;
        }

        uint magic = BinaryPrimitives.ReadUInt32BigEndian(bytes);
        return magic switch
        {
            NbdProtocol.SimpleReplyMagic when form != NbdHeaderForm.Extended => TakeSimple(bytes),
            NbdProtocol.SimpleReplyMagic => throw Violation("it sent a simple reply, although extended headers were agreed on"),
            NbdProtocol.ChunkMagic when form == NbdHeaderForm.Structured => TakeChunk(bytes),
            NbdProtocol.ChunkMagic => throw Violation("it sent a structured reply, which was not agreed on"),
            NbdProtocol.ExtendedChunkMagic when form == NbdHeaderForm.Extended => TakeChunk(bytes),
            NbdProtocol.ExtendedChunkMagic => throw Violation("it sent an extended reply, which was not agreed on"),
            _ => throw Violation($"a reply begins with {magic:x8}"),
        };
    }

    private int TakeSimple(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < sizeof(NbdSimpleReply))
        {
            return 0;
        }

        NbdSimpleReply reply = MemoryMarshal.Read<NbdSimpleReply>(bytes);
        NbdCommand command = Find(reply.Cookie);
        if (command.Type == NbdCommandType.Read && form == NbdHeaderForm.Structured)
        {
            throw Violation("it sent a simple reply to a read, although structured ones were agreed on");
        }

        if (command.Covered.HasAny || command.Errno != 0)
        {
            throw Violation("it began a structured reply and sent a simple one");
        }

        if (reply.Error != 0)
        {
            command.Errno = NbdError.ToErrno(reply.Error);
            Finish(command);
        }
        else if (command.Type == NbdCommandType.Read)
        {
            command.Covered.TryAdd(0, command.Buffer.Length);
            Expect(command, command.Buffer, isLast: true);
        }
        else
        {
            Finish(command);
        }

        return sizeof(NbdSimpleReply);
    }

    private int TakeChunk(ReadOnlySpan<byte> bytes)
    {
        int head = NbdHeaders.ChunkLength(form);
        if (bytes.Length < head)
        {
            return 0;
        }

        NbdChunk header = NbdHeaders.ReadChunk(bytes, form);
        NbdCommand command = Find(header.Cookie);
        if (header.Offset is { } offset && offset != (ulong)command.Offset)
        {
            throw Violation($"a chunk repeats the offset {offset} of a request at {command.Offset}");
        }

        ReadOnlySpan<byte> payload = bytes[head..];
        int taken = header.Type switch
        {
            NbdChunkType.None => TakeNone(command, header),
            NbdChunkType.OffsetData => TakeData(command, header, payload),
            NbdChunkType.OffsetHole => TakeHole(command, header, payload),
            _ when ((ushort)header.Type & NbdProtocol.ChunkErrorBit) != 0 => TakeError(command, header, payload),
            _ => throw Violation($"a chunk is of type {(ushort)header.Type}, which was not asked for"),
        };
        if (taken >= 0)
        {
            return head + taken;
        }

        // A length that belongs to no read is refused with the offset.
        _head = head - taken;
        _chunk = header.Type == NbdChunkType.OffsetData && header.Length <= sizeof(ulong) + (ulong)command.Buffer.Length
            ? head + (int)header.Length
            : _head;
        return 0;
    }

    private int TakeNone(NbdCommand command, in NbdChunk header)
    {
        RequireLength(header, header.Length == 0);
        if (!header.IsDone)
        {
            throw Violation("an empty chunk is not the last of its reply");
        }

        Finish(command);
        return 0;
    }

    private int TakeData(NbdCommand command, in NbdChunk header, ReadOnlySpan<byte> payload)
    {
        RequireLength(header, header.Length > sizeof(ulong));
        if (payload.Length < sizeof(ulong))
        {
            return -sizeof(ulong);
        }

        Expect(command, Cover(command, BinaryPrimitives.ReadUInt64BigEndian(payload), header.Length - sizeof(ulong)), header.IsDone);
        return sizeof(ulong);
    }

    private int TakeHole(NbdCommand command, in NbdChunk header, ReadOnlySpan<byte> payload)
    {
        const int Length = sizeof(ulong) + sizeof(uint);
        RequireLength(header, header.Length == Length);
        if (payload.Length < Length)
        {
            return -Length;
        }

        IoBuffer hole = Cover(command, BinaryPrimitives.ReadUInt64BigEndian(payload),
            BinaryPrimitives.ReadUInt32BigEndian(payload[sizeof(ulong)..]));
        if (hole.IsMemory)
        {
            hole.Span.Clear();
            FinishIf(header.IsDone, command);
        }
        else
        {
            Expect(command, hole, header.IsDone);
            IsHole = true;
        }

        return Length;
    }

    // Types of errors that come later begin in the same way.
    private int TakeError(NbdCommand command, in NbdChunk header, ReadOnlySpan<byte> payload)
    {
        const int Fixed = sizeof(uint) + sizeof(ushort);
        bool hasOffset = header.Type == NbdChunkType.ErrorOffset;
        int extra = hasOffset ? sizeof(ulong) : 0;
        RequireLength(header, header.Length is >= Fixed and <= MaxErrorPayload && header.Length >= (ulong)(Fixed + extra));
        if ((ulong)payload.Length < header.Length)
        {
            return -(int)header.Length;
        }

        int text = BinaryPrimitives.ReadUInt16BigEndian(payload[sizeof(uint)..]);
        bool fits = header.Type is NbdChunkType.Error or NbdChunkType.ErrorOffset
            ? header.Length == (ulong)(Fixed + text + extra)
            : header.Length >= (ulong)(Fixed + text);
        RequireLength(header, fits && text <= NbdProtocol.MaxText);
        if (hasOffset && !IsInside(command, BinaryPrimitives.ReadUInt64BigEndian(payload[(Fixed + text)..]), 1))
        {
            throw Violation("an error is outside of its request");
        }

        command.Errno = command.Errno != 0 ? command.Errno : NbdError.ToErrno(BinaryPrimitives.ReadUInt32BigEndian(payload));
        FinishIf(header.IsDone, command);
        return (int)header.Length;
    }

    // The part of the read's buffer that a chunk fills.
    private static IoBuffer Cover(NbdCommand command, ulong offset, ulong length)
    {
        if (command.Type != NbdCommandType.Read)
        {
            throw Violation($"it sent data for a {command.Type}");
        }

        if (length == 0 || !IsInside(command, offset, length))
        {
            throw Violation($"a chunk of {length} bytes is outside of its request");
        }

        int start = (int)((long)offset - command.Offset);
        return command.Covered.TryAdd(start, (int)length)
            ? command.Buffer.Slice(start, (int)length)
            : throw Violation("it sent a part of a read twice, or in too many pieces");
    }

    private static bool IsInside(NbdCommand command, ulong offset, ulong length) =>
        offset >= (ulong)command.Offset && offset - (ulong)command.Offset <= (ulong)command.Buffer.Length
        && length <= (ulong)command.Buffer.Length - (offset - (ulong)command.Offset);

    private void Expect(NbdCommand command, IoBuffer payload, bool isLast)
    {
        _reading = command;
        _isLast = isLast;
        Payload = payload;
    }

    private NbdCommand Find(ulong cookie) =>
        commands.Find(cookie) ?? throw Violation($"it replied to a request that is not in flight, {cookie:x}");

    private void FinishIf(bool isDone, NbdCommand command)
    {
        if (isDone)
        {
            Finish(command);
        }
    }

    private void Finish(NbdCommand command)
    {
        if (command.Type == NbdCommandType.Read && command.Errno == 0 && !command.Covered.IsComplete(command.Buffer.Length))
        {
            throw Violation("it left out a part of a read");
        }

        answer(command);
    }

    private static void RequireLength(in NbdChunk header, bool isRight)
    {
        if (!isRight)
        {
            throw Violation($"a chunk of type {(ushort)header.Type:x} has {header.Length} bytes");
        }
    }

    private static UblkException Violation(string what) =>
        new(UblkError.ConnectionFailed, $"the server violates the NBD protocol: {what}", NbdError.LostConnection, "reply");
}
