using System.Buffers.Binary;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Ublk.Targets.Nbd;

namespace Ublk.Tests.Exports;

/// <summary>A client that says what a test has it say.</summary>
internal sealed class ScriptedClient : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 20_000 };

    public ScriptedClient(string path) => _socket.Connect(new UnixDomainSocketEndPoint(path));

    /// <summary>Takes the greeting and answers it.</summary>
    public ScriptedClient Greet()
    {
        Receive(18);
        Span<byte> flags = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(flags, NbdProtocol.FixedNewStyle | NbdProtocol.NoZeroes);
        Send(flags);
        return this;
    }

    /// <summary>Opens the default export, by its name alone.</summary>
    public ScriptedClient Open()
    {
        Greet();
        SendOption(NbdOption.ExportName);
        Receive(10);
        return this;
    }

    public void Send(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[_socket.Send(bytes)..];
        }
    }

    public void SendOption(NbdOption option, params byte[] data)
    {
        byte[] bytes = new byte[16];
        MemoryMarshal.Write(bytes, new NbdOptionHeader(option, data.Length));
        Send([.. bytes, .. data]);
    }

    public void SendRequest(
        NbdCommandType type, long offset = 0, uint length = 0, NbdCommandFlags flags = 0, ulong cookie = 7, params byte[] data)
    {
        byte[] bytes = new byte[28];
        MemoryMarshal.Write(bytes, new NbdRequestHeader(flags, type, cookie, offset, length));
        Send([.. bytes, .. data]);
    }

    /// <summary>The type and the data of the next reply to an option.</summary>
    public (NbdOptionReplyType Type, byte[] Data) ReceiveOptionReply()
    {
        NbdOptionReplyHeader header = MemoryMarshal.Read<NbdOptionReplyHeader>(Receive(20));
        Assert.Equal(NbdProtocol.OptionReplyMagic, header.Magic);
        return (header.Type, Receive((int)header.Length));
    }

    /// <summary>The error of the next simple reply.</summary>
    public uint ReceiveError(ulong cookie = 7)
    {
        NbdSimpleReply reply = MemoryMarshal.Read<NbdSimpleReply>(Receive(16));
        Assert.Equal(cookie, reply.Cookie);
        return reply.Error;
    }

    public byte[] Receive(int length)
    {
        byte[] bytes = new byte[length];
        for (int done = 0; done < length;)
        {
            int received = _socket.Receive(bytes.AsSpan(done));
            Assert.True(received > 0, "The server closed the connection.");
            done += received;
        }

        return bytes;
    }

    /// <summary>Whether the server closes the connection; what comes before is dropped.</summary>
    public bool IsClosed()
    {
        byte[] bytes = new byte[4096];
        try
        {
            while (_socket.Receive(bytes) > 0)
            {
            }
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.ConnectionReset)
        {
        }

        return true;
    }

    /// <summary>A text as options have it.</summary>
    public static byte[] Text(string text)
    {
        byte[] bytes = [0, 0, 0, 0, .. Encoding.UTF8.GetBytes(text)];
        BinaryPrimitives.WriteInt32BigEndian(bytes, bytes.Length - 4);
        return bytes;
    }

    public void Dispose() => _socket.Dispose();
}
