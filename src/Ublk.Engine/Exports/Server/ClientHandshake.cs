using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Ublk.Interop;
using Ublk.Targets.Nbd;

namespace Ublk.Exports.Server;

/// <summary>The server's side of a handshake, from the greeting to the moment when requests can come.</summary>
internal sealed class ClientHandshake
{
    // A name of 4096 bytes and some contexts with such names; no valid option is longer.
    private const uint MaxOption = 64 << 10;

    // A client sends a handful.
    private const int MaxOptions = 1000;

    private readonly NbdSocket _socket;
    private readonly ExportedDisk _disk;
    private readonly NbdServerCertificates? _certificates;
    private bool _padsExport;
    private NbdHeaderForm _headers;
    private int[] _contexts = [];

    private ClientHandshake(NbdSocket socket, ExportedDisk disk, NbdServerCertificates? certificates)
    {
        _socket = socket;
        _disk = disk;
        _certificates = certificates;
    }

    /// <summary>Agrees with a client.</summary>
    /// <param name="socket">The connection, fresh.</param>
    /// <param name="disk">The export.</param>
    /// <param name="certificates">The certificates, with which TLS is required; null for none.</param>
    /// <returns>What was agreed on; null for a client that wants no export.</returns>
    /// <exception cref="UblkException">The client does not keep to the protocol, takes too long, or is gone.</exception>
    public static ClientAgreement? Run(NbdSocket socket, ExportedDisk disk, NbdServerCertificates? certificates)
    {
        ClientHandshake handshake = new(socket, disk, certificates);
        handshake.Greet();
        for (int count = 0; count < MaxOptions; count++)
        {
            (NbdOption option, byte[] data) = handshake.ReceiveOption();
            switch (handshake.Answer(option, data))
            {
                case Outcome.Open:
                    return new ClientAgreement(handshake._headers, handshake._contexts);
                case Outcome.Abort:
                    return null;
            }
        }

        throw Violation($"it sent {MaxOptions} options");
    }

    private enum Outcome
    {
        GoOn,
        Open,
        Abort,
    }

    private bool NeedsTls => _certificates is not null && _socket.Tls is null;

    private void Greet()
    {
        Span<byte> greeting = stackalloc byte[18];
        BinaryPrimitives.WriteUInt64BigEndian(greeting, NbdProtocol.GreetingMagic);
        BinaryPrimitives.WriteUInt64BigEndian(greeting[8..], NbdProtocol.OptionMagic);
        BinaryPrimitives.WriteUInt16BigEndian(greeting[16..], NbdProtocol.FixedNewStyle | NbdProtocol.NoZeroes);
        _socket.Send(greeting);
        Span<byte> answer = stackalloc byte[sizeof(uint)];
        _socket.Receive(answer);
        uint flags = BinaryPrimitives.ReadUInt32BigEndian(answer);
        if ((flags & ~(uint)(NbdProtocol.FixedNewStyle | NbdProtocol.NoZeroes)) != 0)
        {
            throw Violation($"its flags are {flags:x}");
        }

        _padsExport = (flags & NbdProtocol.NoZeroes) == 0;
    }

    private unsafe (NbdOption Option, byte[] Data) ReceiveOption()
    {
        Span<byte> bytes = stackalloc byte[sizeof(NbdOptionHeader)];
        _socket.Receive(bytes);
        NbdOptionHeader header = MemoryMarshal.Read<NbdOptionHeader>(bytes);
        if (header.Magic != NbdProtocol.OptionMagic)
        {
            throw Violation($"an option begins with {header.Magic:x16}");
        }

        if (header.Length > MaxOption)
        {
            throw Violation($"option {(uint)header.Option} has {header.Length} bytes");
        }

        byte[] data = new byte[header.Length];
        _socket.Receive(data);
        return (header.Option, data);
    }

    private Outcome Answer(NbdOption option, byte[] data)
    {
        if (NeedsTls && option is not (NbdOption.StartTls or NbdOption.Abort))
        {
            // This option has no reply that refuses.
            return option == NbdOption.ExportName
                ? throw Violation("it does not use TLS")
                : Refuse(option, NbdOptionReplyType.TlsRequired, "This export requires TLS.");
        }

        switch (option)
        {
            case NbdOption.ExportName:
                return OpenByName(data);
            case NbdOption.Abort:
                Reply(option, NbdOptionReplyType.Ack);
                return Outcome.Abort;
            case NbdOption.List when data.Length == 0:
                Reply(option, NbdOptionReplyType.Server, [.. Text(_disk.Name)]);
                Reply(option, NbdOptionReplyType.Ack);
                return Outcome.GoOn;
            case NbdOption.StartTls when _certificates is not null && data.Length == 0:
                return StartTls();
            case NbdOption.StartTls when _certificates is null:
                return Refuse(option, NbdOptionReplyType.Unsupported, "This export has no certificates.");
            case NbdOption.Info or NbdOption.Go:
                return Describe(option, data);
            case NbdOption.StructuredReply or NbdOption.ExtendedHeaders when data.Length == 0:
                _headers = option == NbdOption.ExtendedHeaders || _headers == NbdHeaderForm.Extended
                    ? NbdHeaderForm.Extended
                    : NbdHeaderForm.Structured;
                Reply(option, NbdOptionReplyType.Ack);
                return Outcome.GoOn;
            case NbdOption.ListMetaContext or NbdOption.SetMetaContext:
                return ChooseContexts(option, data);
            case NbdOption.List or NbdOption.StartTls or NbdOption.StructuredReply or NbdOption.ExtendedHeaders:
                return Refuse(option, NbdOptionReplyType.Invalid, "This option has no data.");
            default:
                return Refuse(option, NbdOptionReplyType.Unsupported, "This option is not supported.");
        }
    }

    // A client that asks for another export, and cannot be told so, loses the connection.
    private Outcome OpenByName(byte[] data)
    {
        string name = Encoding.UTF8.GetString(data);
        if (!_disk.IsNamed(name))
        {
            throw Violation($"it asks for an export '{Printable(name)}'");
        }

        byte[] reply = new byte[10 + (_padsExport ? NbdProtocol.Padding : 0)];
        BinaryPrimitives.WriteUInt64BigEndian(reply, (ulong)_disk.Size);
        BinaryPrimitives.WriteUInt16BigEndian(reply.AsSpan(8), (ushort)_disk.FlagsFor(_headers));
        _socket.Send(reply);
        return Outcome.Open;
    }

    // What was agreed on before could have been changed on the way.
    private Outcome StartTls()
    {
        if (_socket.Tls is not null)
        {
            return Refuse(NbdOption.StartTls, NbdOptionReplyType.Invalid, "The connection uses TLS already.");
        }

        NbdTls tls = NbdTls.ForServer(_certificates!);
        Reply(NbdOption.StartTls, NbdOptionReplyType.Ack);
        _headers = NbdHeaderForm.Simple;
        _contexts = [];
        _socket.StartTls(tls);
        return Outcome.GoOn;
    }

    private Outcome Describe(NbdOption option, byte[] data)
    {
        OptionReader reader = new(data);
        if (!reader.TryReadText(out string name) || !reader.TryReadUInt16(out ushort count) || reader.Left != count * sizeof(ushort))
        {
            return Refuse(option, NbdOptionReplyType.Invalid, "The option is malformed.");
        }

        if (!_disk.IsNamed(name))
        {
            return Refuse(option, NbdOptionReplyType.Unknown, $"There is no export '{Printable(name)}' here.");
        }

        byte[] export = new byte[12];
        BinaryPrimitives.WriteUInt16BigEndian(export, (ushort)NbdInfo.Export);
        BinaryPrimitives.WriteUInt64BigEndian(export.AsSpan(2), (ulong)_disk.Size);
        BinaryPrimitives.WriteUInt16BigEndian(export.AsSpan(10), (ushort)_disk.FlagsFor(_headers));
        Reply(option, NbdOptionReplyType.Info, export);
        byte[] blocks = new byte[14];
        BinaryPrimitives.WriteUInt16BigEndian(blocks, (ushort)NbdInfo.BlockSize);
        BinaryPrimitives.WriteUInt32BigEndian(blocks.AsSpan(2), (uint)_disk.MinBlock);
        BinaryPrimitives.WriteUInt32BigEndian(blocks.AsSpan(6), (uint)_disk.PreferredBlock);
        BinaryPrimitives.WriteUInt32BigEndian(blocks.AsSpan(10), (uint)_disk.MaxPayload);
        Reply(option, NbdOptionReplyType.Info, blocks);
        Reply(option, NbdOptionReplyType.Ack);
        return option == NbdOption.Go ? Outcome.Open : Outcome.GoOn;
    }

    private Outcome ChooseContexts(NbdOption option, byte[] data)
    {
        bool isList = option == NbdOption.ListMetaContext;
        if (!isList)
        {
            // Even if the option fails, the former choice is void.
            _contexts = [];
        }

        OptionReader reader = new(data);
        if (!reader.TryReadText(out string name) || !reader.TryReadUInt32(out uint count)
            || (!isList && _headers == NbdHeaderForm.Simple))
        {
            return Refuse(option, NbdOptionReplyType.Invalid, "The option is malformed, or comes before structured replies.");
        }

        if (!_disk.IsNamed(name))
        {
            return Refuse(option, NbdOptionReplyType.Unknown, $"There is no export '{Printable(name)}' here.");
        }

        SortedSet<int> chosen = isList && count == 0 ? [.. Enumerable.Range(0, _disk.Contexts.Count)] : [];
        for (; count > 0; count--)
        {
            if (!reader.TryReadText(out string query))
            {
                return Refuse(option, NbdOptionReplyType.Invalid, "The option is malformed.");
            }

            chosen.UnionWith(Enumerable.Range(0, _disk.Contexts.Count).Where(index => Matches(_disk.Contexts[index].Name, query, isList)));
        }

        if (reader.Left > 0)
        {
            return Refuse(option, NbdOptionReplyType.Invalid, "The option is too long.");
        }

        foreach (int index in chosen)
        {
            byte[] reply = [0, 0, 0, 0, .. Encoding.UTF8.GetBytes(_disk.Contexts[index].Name)];
            BinaryPrimitives.WriteInt32BigEndian(reply, index);
            Reply(option, NbdOptionReplyType.MetaContext, reply);
        }

        _contexts = isList ? _contexts : [.. chosen];
        Reply(option, NbdOptionReplyType.Ack);
        return Outcome.GoOn;
    }

    // A query of a list may be a prefix that ends with a colon.
    private static bool Matches(string context, string query, bool isList) =>
        context == query || (isList && query.EndsWith(':') && context.StartsWith(query, StringComparison.Ordinal));

    private Outcome Refuse(NbdOption option, NbdOptionReplyType error, string reason)
    {
        Reply(option, error, Encoding.UTF8.GetBytes(reason));
        return Outcome.GoOn;
    }

    private unsafe void Reply(NbdOption option, NbdOptionReplyType type, ReadOnlySpan<byte> data = default)
    {
        byte[] bytes = new byte[sizeof(NbdOptionReplyHeader) + data.Length];
        MemoryMarshal.Write(bytes, new NbdOptionReplyHeader(option, type, data.Length));
        data.CopyTo(bytes.AsSpan(sizeof(NbdOptionReplyHeader)));
        _socket.Send(bytes);
    }

    private static byte[] Text(string text)
    {
        byte[] bytes = [0, 0, 0, 0, .. Encoding.UTF8.GetBytes(text)];
        BinaryPrimitives.WriteInt32BigEndian(bytes, bytes.Length - sizeof(int));
        return bytes;
    }

    private static string Printable(string name) =>
        new([.. name.Take(100).Select(character => char.IsControl(character) ? '?' : character)]);

    private static UblkException Violation(string what) =>
        new(UblkError.ConnectionFailed, $"The client violates the NBD protocol: {what}.", Libc.ENOLINK, "handshake");

    /// <summary>The data of an option, taken from its beginning.</summary>
    private ref struct OptionReader(ReadOnlySpan<byte> data)
    {
        private ReadOnlySpan<byte> _data = data;

        public readonly int Left => _data.Length;

        public bool TryReadUInt16(out ushort value) => TryTake(sizeof(ushort), out ReadOnlySpan<byte> bytes)
            & BinaryPrimitives.TryReadUInt16BigEndian(bytes, out value);

        public bool TryReadUInt32(out uint value) => TryTake(sizeof(uint), out ReadOnlySpan<byte> bytes)
            & BinaryPrimitives.TryReadUInt32BigEndian(bytes, out value);

        /// <summary>Takes a text with its length before it.</summary>
        public bool TryReadText(out string text)
        {
            bool isThere = TryReadUInt32(out uint length) & TryTake(length, out ReadOnlySpan<byte> bytes);
            text = isThere && length <= NbdProtocol.MaxText ? Encoding.UTF8.GetString(bytes) : "";
            return isThere && length <= NbdProtocol.MaxText;
        }

        private bool TryTake(uint length, out ReadOnlySpan<byte> bytes)
        {
            bool isThere = length <= _data.Length;
            bytes = isThere ? _data[..(int)length] : default;
            _data = isThere ? _data[(int)length..] : default;
            return isThere;
        }
    }
}
