using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Ublk.Interop;

namespace Ublk.Processes;

/// <summary>Lines of text over a Unix socket, whose other end the kernel identifies.</summary>
/// <param name="socket">The connected socket; owned by this object.</param>
internal sealed class LineChannel(Socket socket) : IDisposable
{
    private readonly StringBuilder _line = new();
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();

    /// <summary>The process at the other end; 0 where it has no id in this pid namespace.</summary>
    public int PeerProcessId => PeerCredentials().ProcessId;

    /// <summary>Whether root or the caller's own user is at the other end.</summary>
    public bool IsPeerTrusted => PeerCredentials().UserId is var user && (user == 0 || user == Libc.GetEffectiveUserId());

    /// <summary>Whether the other end has closed the channel. What it sent before can still be received.</summary>
    public bool IsClosed => socket.Poll(TimeSpan.Zero, SelectMode.SelectRead) && socket.Available == 0;

    /// <summary>A socket for a channel, neither bound nor connected.</summary>
    public static Socket CreateSocket() => new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    /// <summary>Sends a line.</summary>
    /// <exception cref="SocketException">The other end is gone.</exception>
    public void Send(string line)
    {
        ReadOnlySpan<byte> rest = Encoding.UTF8.GetBytes(line + "\n");
        while (!rest.IsEmpty)
        {
            rest = rest[socket.Send(rest)..];
        }
    }

    /// <summary>Receives a line.</summary>
    /// <param name="timeout">How long to wait for more of it.</param>
    /// <param name="line">The line; null at the end of the channel.</param>
    /// <returns>False when the time is up.</returns>
    public bool TryReceive(TimeSpan timeout, out string? line)
    {
        byte[] bytes = new byte[4096];
        char[] chars = new char[bytes.Length];
        while (true)
        {
            string text = _line.ToString();
            int end = text.IndexOf('\n', StringComparison.Ordinal);
            if (end >= 0)
            {
                line = text[..end];
                _line.Remove(0, end + 1);
                return true;
            }

            line = null;
            if (!socket.Poll(timeout, SelectMode.SelectRead))
            {
                return false;
            }

            int count = Receive(bytes);
            if (count == 0)
            {
                return true;
            }

            _line.Append(chars, 0, _decoder.GetChars(bytes.AsSpan(0, count), chars, flush: false));
        }
    }

    /// <summary>Ends the channel, so that a thread that receives from it returns. Callable from any thread.</summary>
    public void Shutdown() => socket.Shutdown(SocketShutdown.Both);

    /// <inheritdoc/>
    public void Dispose() => socket.Dispose();

    private (int ProcessId, uint UserId) PeerCredentials()
    {
        byte[] credentials = new byte[12];
        socket.GetRawSocketOption(Libc.SOL_SOCKET, Libc.SO_PEERCRED, credentials);
        ReadOnlySpan<int> words = MemoryMarshal.Cast<byte, int>(credentials);
        return (words[0], (uint)words[1]);
    }

    private int Receive(byte[] bytes)
    {
        try
        {
            return socket.Receive(bytes);
        }
        catch (SocketException)
        {
            return 0;
        }
    }
}
