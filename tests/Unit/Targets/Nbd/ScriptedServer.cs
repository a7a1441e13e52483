using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using Ublk.Targets.Nbd;

namespace Ublk.Tests.Targets.Nbd;

/// <summary>A server that does exactly what a test says, right or wrong, on a Unix socket.</summary>
internal sealed class ScriptedServer : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ublk-nbd-");
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly Thread _thread;
    private Socket? _client;
    private bool _isExtended;

    /// <summary>Serves clients one after the other by the script.</summary>
    public ScriptedServer(Action<ScriptedServer> script)
    {
        _listener.Bind(new UnixDomainSocketEndPoint(SocketPath));
        _listener.Listen();
        _thread = new Thread(() => Serve(script));
        _thread.Start();
    }

    private string SocketPath => $"{_folder.FullName}/socket";

    /// <summary>The URI of its export.</summary>
    public string Uri => $"nbd+unix:///disk?socket={SocketPath}";

    /// <summary>A request as it came.</summary>
    public readonly record struct Request(ushort Flags, NbdCommandType Type, ulong Cookie, ulong Offset, ulong Length, byte[] Data);

    /// <summary>Numbers of any width and bytes, one after the other in big-endian order.</summary>
    public static byte[] Bytes(params object[] parts) => [.. parts.SelectMany(part => part switch
    {
        ushort number => [(byte)(number >> 8), (byte)number],
        uint number => Big(number, sizeof(uint)),
        ulong number => Big(number, sizeof(ulong)),
        byte[] bytes => bytes,
        string text => Encoding.UTF8.GetBytes(text),
        _ => throw new ArgumentException($"{part.GetType()}"),
    })];

    public static byte[] Simple(ulong cookie, uint error = 0, byte[]? data = null) =>
        Bytes(NbdProtocol.SimpleReplyMagic, error, cookie, data ?? []);

    public static byte[] Chunk(ushort flags, ushort type, ulong cookie, byte[] payload) =>
        Bytes(NbdProtocol.ChunkMagic, flags, type, cookie, (uint)payload.Length, payload);

    public static byte[] ExtendedChunk(ushort flags, ushort type, ulong cookie, ulong offset, byte[] payload) =>
        Bytes(NbdProtocol.ExtendedChunkMagic, flags, type, cookie, offset, (ulong)payload.Length, payload);

    public void Send(params object[] parts)
    {
        byte[] bytes = Bytes(parts);
        for (int sent = 0; sent < bytes.Length;)
        {
            sent += _client!.Send(bytes.AsSpan(sent));
        }
    }

    /// <summary>Exactly so many bytes; the script ends where the client has closed the connection.</summary>
    public byte[] Receive(int count)
    {
        byte[] bytes = new byte[count];
        for (int received = 0; received < count;)
        {
            int part = _client!.Receive(bytes.AsSpan(received));
            received += part > 0 ? part : throw new SocketException((int)SocketError.ConnectionReset);
        }

        return bytes;
    }

    /// <summary>The greeting, and what the client says to it.</summary>
    public void Greet(ushort flags = NbdProtocol.FixedNewStyle | NbdProtocol.NoZeroes)
    {
        Send(NbdProtocol.GreetingMagic, NbdProtocol.OptionMagic, flags);
        Assert.Equal(Bytes((uint)flags), Receive(sizeof(uint)));
    }

    /// <summary>The next option with its data.</summary>
    public (NbdOption Option, byte[] Data) ReceiveOption()
    {
        byte[] header = Receive(16);
        Assert.Equal(NbdProtocol.OptionMagic, BinaryPrimitives.ReadUInt64BigEndian(header));
        return ((NbdOption)BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(8)),
            Receive((int)BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(12))));
    }

    public void Reply(NbdOption option, NbdOptionReplyType type, params object[] parts)
    {
        byte[] data = Bytes(parts);
        Send(NbdProtocol.OptionReplyMagic, (uint)option, (uint)type, (uint)data.Length, data);
    }

    /// <summary>The whole handshake.</summary>
    public void Open(
        ulong size = 1 << 20, bool structured = true,
        NbdExportFlags flags = NbdExportFlags.HasFlags | NbdExportFlags.SendFlush | NbdExportFlags.SendFua | NbdExportFlags.SendTrim
            | NbdExportFlags.SendWriteZeroes,
        (uint Min, uint Preferred, uint Max)? blocks = null, bool extended = false)
    {
        Greet();
        _isExtended = extended;
        Assert.Equal(NbdOption.ExtendedHeaders, ReceiveOption().Option);
        Reply(NbdOption.ExtendedHeaders, extended ? NbdOptionReplyType.Ack : NbdOptionReplyType.Unsupported);
        if (!extended)
        {
            Assert.Equal(NbdOption.StructuredReply, ReceiveOption().Option);
            Reply(NbdOption.StructuredReply, structured ? NbdOptionReplyType.Ack : NbdOptionReplyType.Unsupported);
        }

        (NbdOption option, byte[] data) = ReceiveOption();
        Assert.Equal(NbdOption.Go, option);
        Assert.Equal(Bytes(4u, "disk", (ushort)1, (ushort)NbdInfo.BlockSize), data);
        Reply(NbdOption.Go, NbdOptionReplyType.Info, (ushort)NbdInfo.Export, size, (ushort)flags);
        if (blocks is { } known)
        {
            Reply(NbdOption.Go, NbdOptionReplyType.Info, (ushort)NbdInfo.BlockSize, known.Min, known.Preferred, known.Max);
        }

        Reply(NbdOption.Go, NbdOptionReplyType.Ack);
    }

    /// <summary>The next request.</summary>
    public Request ReceiveRequest()
    {
        byte[] header = Receive(_isExtended ? 32 : 28);
        Assert.Equal(
            _isExtended ? NbdProtocol.ExtendedRequestMagic : NbdProtocol.RequestMagic, BinaryPrimitives.ReadUInt32BigEndian(header));
        NbdCommandType type = (NbdCommandType)BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(6));
        ulong length = _isExtended
            ? BinaryPrimitives.ReadUInt64BigEndian(header.AsSpan(24))
            : BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(24));
        return new Request(
            BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(4)), type, BinaryPrimitives.ReadUInt64BigEndian(header.AsSpan(8)),
            BinaryPrimitives.ReadUInt64BigEndian(header.AsSpan(16)), length, type == NbdCommandType.Write ? Receive((int)length) : []);
    }

    /// <summary>Says nothing more, and waits until the client has gone.</summary>
    public void End()
    {
        _client!.Shutdown(SocketShutdown.Send);
        while (true)
        {
            Receive(1);
        }
    }

    public void Dispose()
    {
        _listener.Dispose();
        _client?.Dispose();
        _thread.Join();
        _folder.Delete(recursive: true);
    }

    private static byte[] Big(ulong number, int width) =>
        [.. Enumerable.Range(1, width).Select(place => (byte)(number >> (8 * (width - place))))];

    private void Serve(Action<ScriptedServer> script)
    {
        try
        {
            while (true)
            {
                using Socket client = _client = _listener.Accept();
                try
                {
                    script(this);
                }
                catch (SocketException)
                {
                    // The client has gone, as far as the script goes.
                }
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
        }
    }
}
