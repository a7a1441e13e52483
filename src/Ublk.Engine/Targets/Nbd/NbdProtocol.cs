using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Ublk.Targets.Nbd;

/// <summary>The numbers of the NBD protocol (doc/proto.md of the NBD project). All of them go over the wire in big-endian order.</summary>
internal static class NbdProtocol
{
    /// <summary>The TCP port where none is given.</summary>
    public const int DefaultPort = 10809;

    /// <summary>Begins a server's greeting: NBDMAGIC.</summary>
    public const ulong GreetingMagic = 0x4e42444d41474943;

    /// <summary>Follows it, and begins each option: IHAVEOPT.</summary>
    public const ulong OptionMagic = 0x49484156454f5054;

    /// <summary>Follows it where the server speaks the protocol of before 2012.</summary>
    public const ulong OldStyleMagic = 0x00420281861253;

    /// <summary>Begins each reply to an option.</summary>
    public const ulong OptionReplyMagic = 0x0003e889045565a9;

    public const uint RequestMagic = 0x25609513;
    public const uint SimpleReplyMagic = 0x67446698;
    public const uint ChunkMagic = 0x668e33ef;
    public const uint ExtendedRequestMagic = 0x21e41c71;
    public const uint ExtendedChunkMagic = 0x6e8a278c;

    /// <summary>Flag of the handshake, of both sides: a refused option leaves the connection usable.</summary>
    public const ushort FixedNewStyle = 1 << 0;

    /// <summary>Flag of the handshake, of both sides: no padding after <see cref="NbdOption.ExportName"/>.</summary>
    public const ushort NoZeroes = 1 << 1;

    /// <summary>Zeroes after the reply to <see cref="NbdOption.ExportName"/>.</summary>
    public const int Padding = 124;

    /// <summary>Bytes that a name or a text has at most.</summary>
    public const int MaxText = 4096;

    /// <summary>Bytes of data in a request where the server names no other limit.</summary>
    public const uint DefaultMaxPayload = 32 << 20;

    /// <summary>The last chunk of its reply.</summary>
    public const ushort ChunkDone = 1 << 0;

    /// <summary>The bit of errors among the types of option replies.</summary>
    public const uint OptionErrorBit = 1u << 31;

    /// <summary>The bit of errors among the types of chunks.</summary>
    public const ushort ChunkErrorBit = 1 << 15;
}

/// <summary>What a client asks for in the handshake (NBD_OPT_*).</summary>
internal enum NbdOption : uint
{
    ExportName = 1,
    Abort = 2,
    List = 3,
    StartTls = 5,
    Info = 6,
    Go = 7,
    StructuredReply = 8,
    ListMetaContext = 9,
    SetMetaContext = 10,
    ExtendedHeaders = 11,
}

/// <summary>What a server replies in the handshake (NBD_REP_*).</summary>
internal enum NbdOptionReplyType : uint
{
    Ack = 1,
    Server = 2,
    Info = 3,
    MetaContext = 4,
    Unsupported = NbdProtocol.OptionErrorBit | 1,
    Policy = NbdProtocol.OptionErrorBit | 2,
    Invalid = NbdProtocol.OptionErrorBit | 3,
    Platform = NbdProtocol.OptionErrorBit | 4,
    TlsRequired = NbdProtocol.OptionErrorBit | 5,
    Unknown = NbdProtocol.OptionErrorBit | 6,
    Shutdown = NbdProtocol.OptionErrorBit | 7,
    BlockSizeRequired = NbdProtocol.OptionErrorBit | 8,
    TooBig = NbdProtocol.OptionErrorBit | 9,
    ExtendedHeadersRequired = NbdProtocol.OptionErrorBit | 10,
}

/// <summary>What an information about an export is (NBD_INFO_*).</summary>
internal enum NbdInfo : ushort
{
    Export = 0,
    BlockSize = 3,
}

/// <summary>What an export supports (NBD_FLAG_*).</summary>
[Flags]
internal enum NbdExportFlags : ushort
{
    None = 0,
    HasFlags = 1 << 0,
    ReadOnly = 1 << 1,
    SendFlush = 1 << 2,
    SendFua = 1 << 3,
    Rotational = 1 << 4,
    SendTrim = 1 << 5,
    SendWriteZeroes = 1 << 6,
    SendDontFragment = 1 << 7,
    CanMultiConn = 1 << 8,
}

/// <summary>What a request is for (NBD_CMD_*).</summary>
internal enum NbdCommandType : ushort
{
    Read = 0,
    Write = 1,
    Disconnect = 2,
    Flush = 3,
    Trim = 4,
    WriteZeroes = 6,
    BlockStatus = 7,
}

/// <summary>What a request does, by what it is for.</summary>
internal static class NbdCommandTypes
{
    /// <summary>Whether it changes the export's content.</summary>
    public static bool Changes(this NbdCommandType type) =>
        type is NbdCommandType.Write or NbdCommandType.Trim or NbdCommandType.WriteZeroes;
}

/// <summary>How a request is to be done (NBD_CMD_FLAG_*).</summary>
[Flags]
internal enum NbdCommandFlags : ushort
{
    None = 0,
    ForceUnitAccess = 1 << 0,
    NoHole = 1 << 1,
    DontFragment = 1 << 2,

    /// <summary>Of a request for block status: one extent, within the range.</summary>
    ReqOne = 1 << 3,

    /// <summary>With extended headers: the length is that of the data that follows. Set on writes, and on them alone.</summary>
    PayloadLength = 1 << 5,
}

/// <summary>What a chunk of a structured reply holds (NBD_REPLY_TYPE_*).</summary>
internal enum NbdChunkType : ushort
{
    None = 0,
    OffsetData = 1,
    OffsetHole = 2,
    BlockStatus = 5,
    ExtendedBlockStatus = 6,
    Error = NbdProtocol.ChunkErrorBit | 1,
    ErrorOffset = NbdProtocol.ChunkErrorBit | 2,
}

/// <summary>What the context base:allocation has of an extent (NBD_STATE_*).</summary>
[Flags]
internal enum NbdAllocation : uint
{
    Data = 0,
    Hole = 1 << 0,
    Zero = 1 << 1,
}

/// <summary>The head of an option, 16 bytes; its data follows.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal readonly struct NbdOptionHeader(NbdOption option, int length)
{
    private readonly ulong _magic = BinaryPrimitives.ReverseEndianness(NbdProtocol.OptionMagic);
    private readonly uint _option = BinaryPrimitives.ReverseEndianness((uint)option);
    private readonly uint _length = BinaryPrimitives.ReverseEndianness((uint)length);

    public ulong Magic => BinaryPrimitives.ReverseEndianness(_magic);

    public NbdOption Option => (NbdOption)BinaryPrimitives.ReverseEndianness(_option);

    public uint Length => BinaryPrimitives.ReverseEndianness(_length);
}

/// <summary>The head of a reply to an option, 20 bytes; its data follows.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal readonly struct NbdOptionReplyHeader(NbdOption option, NbdOptionReplyType type, int length)
{
    private readonly ulong _magic = BinaryPrimitives.ReverseEndianness(NbdProtocol.OptionReplyMagic);
    private readonly uint _option = BinaryPrimitives.ReverseEndianness((uint)option);
    private readonly uint _type = BinaryPrimitives.ReverseEndianness((uint)type);
    private readonly uint _length = BinaryPrimitives.ReverseEndianness((uint)length);

    public ulong Magic => BinaryPrimitives.ReverseEndianness(_magic);

    public NbdOption Option => (NbdOption)BinaryPrimitives.ReverseEndianness(_option);

    public NbdOptionReplyType Type => (NbdOptionReplyType)BinaryPrimitives.ReverseEndianness(_type);

    public uint Length => BinaryPrimitives.ReverseEndianness(_length);
}

/// <summary>The head of a request, 28 bytes; the data of a write follows.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal readonly struct NbdRequestHeader(NbdCommandFlags flags, NbdCommandType type, ulong cookie, long offset, uint length)
{
    private readonly uint _magic = BinaryPrimitives.ReverseEndianness(NbdProtocol.RequestMagic);
    private readonly ushort _flags = BinaryPrimitives.ReverseEndianness((ushort)flags);
    private readonly ushort _type = BinaryPrimitives.ReverseEndianness((ushort)type);
    private readonly ulong _cookie = BinaryPrimitives.ReverseEndianness(cookie);
    private readonly ulong _offset = BinaryPrimitives.ReverseEndianness((ulong)offset);
    private readonly uint _length = BinaryPrimitives.ReverseEndianness(length);

    public uint Magic => BinaryPrimitives.ReverseEndianness(_magic);

    public NbdCommandFlags Flags => (NbdCommandFlags)BinaryPrimitives.ReverseEndianness(_flags);

    public NbdCommandType Type => (NbdCommandType)BinaryPrimitives.ReverseEndianness(_type);

    public ulong Cookie => BinaryPrimitives.ReverseEndianness(_cookie);

    public ulong Offset => BinaryPrimitives.ReverseEndianness(_offset);

    public uint Length => BinaryPrimitives.ReverseEndianness(_length);
}

/// <summary>The head of a simple reply, 16 bytes; the data of a read that succeeded follows.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal readonly struct NbdSimpleReply(uint error, ulong cookie)
{
    private readonly uint _magic = BinaryPrimitives.ReverseEndianness(NbdProtocol.SimpleReplyMagic);
    private readonly uint _error = BinaryPrimitives.ReverseEndianness(error);
    private readonly ulong _cookie = BinaryPrimitives.ReverseEndianness(cookie);

    public uint Error => BinaryPrimitives.ReverseEndianness(_error);

    public ulong Cookie => BinaryPrimitives.ReverseEndianness(_cookie);
}

/// <summary>The head of a chunk of a structured reply, 20 bytes; its payload follows.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal readonly struct NbdChunkHeader(bool isDone, NbdChunkType type, ulong cookie, uint length)
{
    private readonly uint _magic = BinaryPrimitives.ReverseEndianness(NbdProtocol.ChunkMagic);
    private readonly ushort _flags = BinaryPrimitives.ReverseEndianness(isDone ? NbdProtocol.ChunkDone : (ushort)0);
    private readonly ushort _type = BinaryPrimitives.ReverseEndianness((ushort)type);
    private readonly ulong _cookie = BinaryPrimitives.ReverseEndianness(cookie);
    private readonly uint _length = BinaryPrimitives.ReverseEndianness(length);

    public bool IsDone => (BinaryPrimitives.ReverseEndianness(_flags) & NbdProtocol.ChunkDone) != 0;

    public NbdChunkType Type => (NbdChunkType)BinaryPrimitives.ReverseEndianness(_type);

    public ulong Cookie => BinaryPrimitives.ReverseEndianness(_cookie);

    public uint Length => BinaryPrimitives.ReverseEndianness(_length);
}
