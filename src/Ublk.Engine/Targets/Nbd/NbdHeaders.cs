using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Ublk.Targets.Nbd;

/// <summary>Which headers the two sides have agreed on.</summary>
internal enum NbdHeaderForm
{
    /// <summary>Compact requests and simple replies.</summary>
    Simple,

    /// <summary>Compact requests; replies to reads come in chunks.</summary>
    Structured,

    /// <summary>Requests with 64-bit lengths; all replies come in chunks.</summary>
    Extended,
}

/// <summary>The header of a chunk, of either form.</summary>
/// <param name="IsDone">Whether it is the last chunk of its reply.</param>
/// <param name="Type">What it holds.</param>
/// <param name="Cookie">The request.</param>
/// <param name="Offset">The request's offset, which the server repeats; null in the compact form.</param>
/// <param name="Length">Bytes of payload.</param>
internal readonly record struct NbdChunk(bool IsDone, NbdChunkType Type, ulong Cookie, ulong? Offset, ulong Length);

/// <summary>The header of a request, of either form, as a client sent it.</summary>
/// <param name="Flags">How it is to be done.</param>
/// <param name="Type">What it is for.</param>
/// <param name="Cookie">What the reply repeats.</param>
/// <param name="Offset">The first byte of the range.</param>
/// <param name="Length">Bytes of the range.</param>
/// <param name="Payload">Bytes of data that follow the header.</param>
internal readonly record struct NbdRequest(
    NbdCommandFlags Flags, NbdCommandType Type, ulong Cookie, ulong Offset, ulong Length, ulong Payload);

/// <summary>The headers of requests and chunks, compact or extended.</summary>
internal static unsafe class NbdHeaders
{
    /// <summary>Room for a request's header of any form.</summary>
    public static int MaxRequestLength => sizeof(NbdExtendedRequestHeader);

    /// <summary>Writes a request's header.</summary>
    /// <returns>Its length.</returns>
    public static int Write(
        Span<byte> room, NbdHeaderForm form, NbdCommandFlags flags, NbdCommandType type, ulong cookie, long offset, long length)
    {
        if (form != NbdHeaderForm.Extended)
        {
            MemoryMarshal.Write(room, new NbdRequestHeader(flags, type, cookie, offset, checked((uint)length)));
            return sizeof(NbdRequestHeader);
        }

        flags |= type == NbdCommandType.Write ? NbdCommandFlags.PayloadLength : 0;
        MemoryMarshal.Write(room, new NbdExtendedRequestHeader(flags, type, cookie, offset, length));
        return sizeof(NbdExtendedRequestHeader);
    }

    /// <summary>The length of a request's header.</summary>
    public static int RequestLength(NbdHeaderForm form) =>
        form == NbdHeaderForm.Extended ? sizeof(NbdExtendedRequestHeader) : sizeof(NbdRequestHeader);

    /// <summary>Reads a request's header, which is whole.</summary>
    /// <returns>False if it is not a valid header.</returns>
    public static bool TryReadRequest(ReadOnlySpan<byte> bytes, NbdHeaderForm form, out NbdRequest request)
    {
        if (form == NbdHeaderForm.Extended)
        {
            NbdExtendedRequestHeader extended = MemoryMarshal.Read<NbdExtendedRequestHeader>(bytes);
            ulong payload = (extended.Flags & NbdCommandFlags.PayloadLength) != 0 ? extended.Length : 0;
            request = new NbdRequest(extended.Flags, extended.Type, extended.Cookie, extended.Offset, extended.Length, payload);
            return extended.Magic == NbdProtocol.ExtendedRequestMagic;
        }

        NbdRequestHeader header = MemoryMarshal.Read<NbdRequestHeader>(bytes);
        request = new NbdRequest(header.Flags, header.Type, header.Cookie, header.Offset, header.Length,
            header.Type == NbdCommandType.Write ? header.Length : 0);
        return header.Magic == NbdProtocol.RequestMagic;
    }

    /// <summary>Writes a chunk's header.</summary>
    /// <param name="room">Where it goes.</param>
    /// <param name="form">Its form, which is not <see cref="NbdHeaderForm.Simple"/>.</param>
    /// <param name="request">The request.</param>
    /// <param name="isDone">Whether it is the last chunk of the reply.</param>
    /// <param name="type">What it holds.</param>
    /// <param name="length">Bytes of payload.</param>
    /// <returns>Its length.</returns>
    public static int WriteChunk(
        Span<byte> room, NbdHeaderForm form, in NbdRequest request, bool isDone, NbdChunkType type, int length)
    {
        if (form == NbdHeaderForm.Extended)
        {
            MemoryMarshal.Write(room, new NbdExtendedChunkHeader(isDone, type, request.Cookie, request.Offset, (ulong)length));
        }
        else
        {
            MemoryMarshal.Write(room, new NbdChunkHeader(isDone, type, request.Cookie, (uint)length));
        }

        return ChunkLength(form);
    }

    /// <summary>The length of a chunk's header.</summary>
    public static int ChunkLength(NbdHeaderForm form) =>
        form == NbdHeaderForm.Extended ? sizeof(NbdExtendedChunkHeader) : sizeof(NbdChunkHeader);

    /// <summary>Where the data in a reply to a read starts at the earliest.</summary>
    public static int DataStart(NbdHeaderForm form) =>
        form == NbdHeaderForm.Simple ? sizeof(NbdSimpleReply) : ChunkLength(form) + sizeof(ulong);

    /// <summary>Reads a chunk's header, which is whole.</summary>
    public static NbdChunk ReadChunk(ReadOnlySpan<byte> bytes, NbdHeaderForm form)
    {
        if (form == NbdHeaderForm.Extended)
        {
            NbdExtendedChunkHeader extended = MemoryMarshal.Read<NbdExtendedChunkHeader>(bytes);
            return new NbdChunk(extended.IsDone, extended.Type, extended.Cookie, extended.Offset, extended.Length);
        }

        NbdChunkHeader header = MemoryMarshal.Read<NbdChunkHeader>(bytes);
        return new NbdChunk(header.IsDone, header.Type, header.Cookie, null, header.Length);
    }
}

/// <summary>The extended head of a request, 32 bytes; the data of a write follows.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal readonly struct NbdExtendedRequestHeader(NbdCommandFlags flags, NbdCommandType type, ulong cookie, long offset, long length)
{
    private readonly uint _magic = BinaryPrimitives.ReverseEndianness(NbdProtocol.ExtendedRequestMagic);
    private readonly ushort _flags = BinaryPrimitives.ReverseEndianness((ushort)flags);
    private readonly ushort _type = BinaryPrimitives.ReverseEndianness((ushort)type);
    private readonly ulong _cookie = BinaryPrimitives.ReverseEndianness(cookie);
    private readonly ulong _offset = BinaryPrimitives.ReverseEndianness((ulong)offset);
    private readonly ulong _length = BinaryPrimitives.ReverseEndianness((ulong)length);

    public uint Magic => BinaryPrimitives.ReverseEndianness(_magic);

    public NbdCommandFlags Flags => (NbdCommandFlags)BinaryPrimitives.ReverseEndianness(_flags);

    public NbdCommandType Type => (NbdCommandType)BinaryPrimitives.ReverseEndianness(_type);

    public ulong Cookie => BinaryPrimitives.ReverseEndianness(_cookie);

    public ulong Offset => BinaryPrimitives.ReverseEndianness(_offset);

    public ulong Length => BinaryPrimitives.ReverseEndianness(_length);
}

/// <summary>The extended head of a chunk, 32 bytes; its payload follows.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal readonly struct NbdExtendedChunkHeader(bool isDone, NbdChunkType type, ulong cookie, ulong offset, ulong length)
{
    private readonly uint _magic = BinaryPrimitives.ReverseEndianness(NbdProtocol.ExtendedChunkMagic);
    private readonly ushort _flags = BinaryPrimitives.ReverseEndianness(isDone ? NbdProtocol.ChunkDone : (ushort)0);
    private readonly ushort _type = BinaryPrimitives.ReverseEndianness((ushort)type);
    private readonly ulong _cookie = BinaryPrimitives.ReverseEndianness(cookie);
    private readonly ulong _offset = BinaryPrimitives.ReverseEndianness(offset);
    private readonly ulong _length = BinaryPrimitives.ReverseEndianness(length);

    public bool IsDone => (BinaryPrimitives.ReverseEndianness(_flags) & NbdProtocol.ChunkDone) != 0;

    public NbdChunkType Type => (NbdChunkType)BinaryPrimitives.ReverseEndianness(_type);

    public ulong Cookie => BinaryPrimitives.ReverseEndianness(_cookie);

    public ulong Offset => BinaryPrimitives.ReverseEndianness(_offset);

    public ulong Length => BinaryPrimitives.ReverseEndianness(_length);
}
