using System.Runtime.InteropServices;
using System.Text;

namespace Ublk.Targets.Nbd;

/// <summary>A server's reply to an option of the handshake.</summary>
/// <param name="Type">What it is.</param>
/// <param name="Data">What comes with it.</param>
internal readonly record struct NbdOptionReply(NbdOptionReplyType Type, byte[] Data)
{
    /// <summary>Whether the option is refused.</summary>
    public bool IsError => ((uint)Type & NbdProtocol.OptionErrorBit) != 0;

    /// <summary>The server's own words of an error, fit to be shown; empty where it has none.</summary>
    public string Text => new([.. Encoding.UTF8.GetString(Data.AsSpan(0, int.Min(Data.Length, NbdProtocol.MaxText)))
        .Select(character => char.IsControl(character) ? ' ' : character)]);
}

/// <summary>The options of the handshake: one is sent, and its replies are taken.</summary>
/// <param name="socket">The connection.</param>
/// <param name="server">The server, for messages.</param>
internal sealed class NbdOptions(NbdSocket socket, string server)
{
    // Far more than any reply of the protocol that is asked for here has.
    private const uint MaxReply = 64 << 10;

    /// <summary>Sends an option.</summary>
    public unsafe void Send(NbdOption option, ReadOnlySpan<byte> data = default)
    {
        byte[] bytes = new byte[sizeof(NbdOptionHeader) + data.Length];
        MemoryMarshal.Write(bytes, new NbdOptionHeader(option, data.Length));
        data.CopyTo(bytes.AsSpan(sizeof(NbdOptionHeader)));
        socket.Send(bytes);
    }

    /// <summary>Takes the next reply to an option.</summary>
    /// <exception cref="UblkException">It is none, or the connection is lost.</exception>
    public unsafe NbdOptionReply Receive(NbdOption option)
    {
        Span<byte> bytes = stackalloc byte[sizeof(NbdOptionReplyHeader)];
        socket.Receive(bytes);
        NbdOptionReplyHeader header = MemoryMarshal.Read<NbdOptionReplyHeader>(bytes);
        if (header.Magic != NbdProtocol.OptionReplyMagic)
        {
            throw Violation($"a reply to an option begins with {header.Magic:x16}");
        }

        if (header.Option != option)
        {
            throw Violation($"it replied to option {(uint)header.Option} where {(uint)option} was asked");
        }

        if (header.Length > MaxReply)
        {
            throw Violation($"a reply to an option has {header.Length} bytes");
        }

        byte[] data = new byte[header.Length];
        socket.Receive(data);
        return new NbdOptionReply(header.Type, data);
    }

    /// <summary>A server that does not keep to the protocol.</summary>
    public UblkException Violation(string what) => new(UblkError.ConnectionFailed,
        $"The server at {server} violates the NBD protocol: {what}.", Interop.Libc.ENOLINK, "handshake");

    /// <summary>A server that refuses.</summary>
    public UblkException Refusal(NbdOptionReply reply, string what)
    {
        string words = reply.Text.Trim();
        string reason = reply.Type switch
        {
            NbdOptionReplyType.TlsRequired => "it requires TLS. Use nbds:// or nbds+unix://",
            NbdOptionReplyType.Unsupported => "it does not support it",
            NbdOptionReplyType.Policy => "its policy forbids it",
            NbdOptionReplyType.Unknown => "it does not have it",
            NbdOptionReplyType.Shutdown => "it is shutting down",
            NbdOptionReplyType.ExtendedHeadersRequired => "it requires extended headers, which the Nbd target does not support",
            NbdOptionReplyType.Invalid => "it calls the request invalid",
            _ => $"error {(uint)reply.Type & ~NbdProtocol.OptionErrorBit} of the protocol",
        };
        return new UblkException(UblkError.ServerRefused,
            $"The NBD server at {server} refuses {what}: {reason}.{(words.Length > 0 ? $" Its message: {words}" : "")}",
                operation: "handshake");
    }
}
