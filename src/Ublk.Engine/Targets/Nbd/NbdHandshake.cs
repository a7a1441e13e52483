using System.Buffers.Binary;
using System.Text;

namespace Ublk.Targets.Nbd;

/// <summary>The handshake of a connection, from the greeting to the moment when requests can be sent.</summary>
internal sealed class NbdHandshake
{
    private const int GreetingLength = 18;
    private const int ExportInfoLength = 12;
    private const int BlockSizeInfoLength = 14;

    // A server describes an export in a handful of replies.
    private const int MaxReplies = 1000;

    private readonly NbdSocket _socket;
    private readonly NbdOptions _options;
    private readonly NbdUri _uri;
    private ushort _flags;
    private NbdHeaderForm _headers;

    private NbdHandshake(NbdSocket socket, NbdUri uri)
    {
        _socket = socket;
        _uri = uri;
        _options = new NbdOptions(socket, uri.Server);
    }

    /// <summary>Agrees with the server on an export.</summary>
    /// <param name="socket">The connection, fresh.</param>
    /// <param name="uri">The export.</param>
    /// <exception cref="UblkException">The server refuses, does not keep to the protocol, or is gone.</exception>
    public static NbdExport Run(NbdSocket socket, NbdUri uri)
    {
        NbdHandshake handshake = new(socket, uri);
        handshake.Greet();
        handshake.StartTls();
        if ((handshake._flags & NbdProtocol.FixedNewStyle) == 0)
        {
            return handshake.OpenByName();
        }

        // Extended headers imply structured replies.
        handshake._headers = handshake.AskFor(NbdOption.ExtendedHeaders) ? NbdHeaderForm.Extended
            : handshake.AskFor(NbdOption.StructuredReply) ? NbdHeaderForm.Structured
            : NbdHeaderForm.Simple;
        return handshake.TryGo() ?? handshake.OpenByName();
    }

    /// <summary>Comes as far as to where options can be sent.</summary>
    /// <exception cref="UblkException">The server knows none, refuses TLS, or is gone.</exception>
    public static NbdOptions Begin(NbdSocket socket, NbdUri uri)
    {
        NbdHandshake handshake = new(socket, uri);
        handshake.Greet();
        handshake.StartTls();
        return (handshake._flags & NbdProtocol.FixedNewStyle) != 0
            ? handshake._options
            : throw new UblkException(UblkError.NotSupported, $"The NBD server at {uri.Server} is too old for options.",
                operation: "handshake");
    }

    private string ExportText => _uri.Export.Length == 0 ? "its default export" : $"the export '{_uri.Export}'";

    private void Greet()
    {
        Span<byte> greeting = stackalloc byte[GreetingLength];
        _socket.Receive(greeting[..16]);
        ulong magic = BinaryPrimitives.ReadUInt64BigEndian(greeting);
        ulong style = BinaryPrimitives.ReadUInt64BigEndian(greeting[8..]);
        if (magic != NbdProtocol.GreetingMagic)
        {
            throw _options.Violation($"its greeting is {magic:x16}");
        }

        if (style == NbdProtocol.OldStyleMagic)
        {
            throw new UblkException(UblkError.NotSupported,
                $"The NBD server at {_uri.Server} uses the oldstyle protocol, which the Nbd target does not support. Configure newstyle.",
                operation: "handshake");
        }

        if (style != NbdProtocol.OptionMagic)
        {
            throw _options.Violation($"its greeting continues with {style:x16}");
        }

        _socket.Receive(greeting[16..]);
        _flags = (ushort)(BinaryPrimitives.ReadUInt16BigEndian(greeting[16..]) & (NbdProtocol.FixedNewStyle | NbdProtocol.NoZeroes));
        Span<byte> answer = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32BigEndian(answer, _flags);
        _socket.Send(answer);
    }

    // Clear text is never what is used instead.
    private void StartTls()
    {
        if (_uri.Tls is not { } settings)
        {
            return;
        }

        if ((_flags & NbdProtocol.FixedNewStyle) == 0)
        {
            throw new UblkException(UblkError.ServerRefused, $"The NBD server at {_uri.Server} is too old for TLS.", operation: "tls");
        }

        _options.Send(NbdOption.StartTls);
        NbdOptionReply reply = _options.Receive(NbdOption.StartTls);
        if (reply.IsError)
        {
            throw _options.Refusal(reply, "TLS");
        }

        if (reply.Type != NbdOptionReplyType.Ack || reply.Data.Length > 0)
        {
            throw _options.Violation($"it replied {(uint)reply.Type} to the request for TLS");
        }

        _socket.StartTls(new NbdTls(settings));
    }

    private bool AskFor(NbdOption option)
    {
        _options.Send(option);
        NbdOptionReply reply = _options.Receive(option);
        if (reply.Type == NbdOptionReplyType.TlsRequired)
        {
            throw _options.Refusal(reply, "a connection");
        }

        if (!reply.IsError && (reply.Type != NbdOptionReplyType.Ack || reply.Data.Length > 0))
        {
            throw _options.Violation($"it replied {(uint)reply.Type} with {reply.Data.Length} bytes where an acknowledgement was expected");
        }

        return !reply.IsError;
    }

    // Null where the server does not know the option.
    private NbdExport? TryGo()
    {
        byte[] name = Encoding.UTF8.GetBytes(_uri.Export);
        byte[] data = new byte[sizeof(uint) + name.Length + (2 * sizeof(ushort))];
        BinaryPrimitives.WriteUInt32BigEndian(data, (uint)name.Length);
        name.CopyTo(data.AsSpan(sizeof(uint)));
        BinaryPrimitives.WriteUInt16BigEndian(data.AsSpan(sizeof(uint) + name.Length), 1);
        BinaryPrimitives.WriteUInt16BigEndian(data.AsSpan(sizeof(uint) + name.Length + sizeof(ushort)), (ushort)NbdInfo.BlockSize);
        _options.Send(NbdOption.Go, data);
        NbdExport? export = null;
        (uint Min, uint Preferred, uint Max)? sizes = null;
        for (int count = 0; count < MaxReplies; count++)
        {
            NbdOptionReply reply = _options.Receive(NbdOption.Go);
            switch (reply.Type)
            {
                case NbdOptionReplyType.Info:
                    ReadInfo(reply.Data, ref export, ref sizes);
                    break;
                case NbdOptionReplyType.Ack:
                    export ??= export ?? throw _options.Violation("it opened the export without its size");
                    return sizes is { } known
                        ? export with { MinBlock = known.Min, PreferredBlock = known.Preferred, MaxPayload = known.Max }
                        : export;
                case NbdOptionReplyType.Unsupported:
                    return null;
                default:
                    throw reply.IsError
                        ? _options.Refusal(reply, ExportText)
                        : _options.Violation($"it replied {(uint)reply.Type} where the export was to be opened");
            }
        }

        throw _options.Violation("it describes the export without an end");
    }

    private void ReadInfo(ReadOnlySpan<byte> data, ref NbdExport? export, ref (uint Min, uint Preferred, uint Max)? sizes)
    {
        if (data.Length < sizeof(ushort))
        {
            throw _options.Violation("it left out the kind of an information");
        }

        switch ((NbdInfo)BinaryPrimitives.ReadUInt16BigEndian(data))
        {
            case NbdInfo.Export:
                RequireLength(data, ExportInfoLength);
                export = Describe(data[sizeof(ushort)..]);
                break;
            case NbdInfo.BlockSize:
                RequireLength(data, BlockSizeInfoLength);
                sizes = (BinaryPrimitives.ReadUInt32BigEndian(data[2..]), BinaryPrimitives.ReadUInt32BigEndian(data[6..]),
                    BinaryPrimitives.ReadUInt32BigEndian(data[10..]));
                break;
            default:
                // Names and descriptions may come unasked.
                break;
        }
    }

    private void RequireLength(ReadOnlySpan<byte> data, int length)
    {
        if (data.Length != length)
        {
            throw _options.Violation($"an information about the export has {data.Length} bytes instead of {length}");
        }
    }

    // A server can refuse this only by closing the connection.
    private NbdExport OpenByName()
    {
        _options.Send(NbdOption.ExportName, Encoding.UTF8.GetBytes(_uri.Export));
        Span<byte> data = stackalloc byte[sizeof(ulong) + sizeof(ushort) + NbdProtocol.Padding];
        data = (_flags & NbdProtocol.NoZeroes) != 0 ? data[..^NbdProtocol.Padding] : data;
        try
        {
            _socket.Receive(data);
        }
        catch (UblkException exception) when (exception.Errno == Interop.Libc.ENOLINK)
        {
            throw new UblkException(UblkError.ServerRefused,
                $"The NBD server at {_uri.Server} closed the connection when it was asked for {ExportText}. Perhaps it does not have it.",
                operation: "handshake");
        }

        return Describe(data);
    }

    private NbdExport Describe(ReadOnlySpan<byte> data)
    {
        ulong size = BinaryPrimitives.ReadUInt64BigEndian(data);
        NbdExportFlags flags = (NbdExportFlags)BinaryPrimitives.ReadUInt16BigEndian(data[sizeof(ulong)..]);
        return size <= long.MaxValue
            ? new NbdExport((long)size, flags, 1, 4096, NbdProtocol.DefaultMaxPayload, _headers)
            : throw _options.Violation($"it says that {ExportText} has {size} bytes");
    }
}
