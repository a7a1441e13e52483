using System.Buffers.Binary;
using System.Net.Sockets;
using Ublk.Targets.Nbd;

namespace Ublk.Tests.Targets.Nbd;

/// <summary>
/// A server as bad as it may be: it loses connections at random instants, and then executes writes of the lost ones, or not, or later.
/// </summary>
/// <remarks>Each block holds a number; it sends and takes the number in each of a block's first bytes.</remarks>
internal sealed class LateServer : IDisposable
{
    public const int Block = 4096;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ublk-nbd-");
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly List<Thread> _late = [];
    private readonly ulong[] _blocks;
    private readonly Random _random;
    private readonly Thread _thread;
    private int _losses;
    private Socket? _client;

    public LateServer(int seed, int blocks, int losses)
    {
        _random = new Random(seed);
        _blocks = new ulong[blocks];
        _losses = losses;
        _listener.Bind(new UnixDomainSocketEndPoint($"{_folder.FullName}/socket"));
        _listener.Listen();
        _thread = new Thread(Serve);
        _thread.Start();
    }

    /// <summary>The URI of its export.</summary>
    public string Uri => $"nbd+unix:///disk?socket={_folder.FullName}/socket";

    /// <summary>Waits until what is executed late is executed. The server loses no more connections.</summary>
    public void Settle()
    {
        _losses = 0;
        Thread[] late;
        lock (_late)
        {
            late = [.. _late];
        }

        Array.ForEach(late, thread => thread.Join());
    }

    public void Dispose()
    {
        _listener.Dispose();
        _client?.Dispose();
        _thread.Join();
        Settle();
        _folder.Delete(recursive: true);
    }

    private void Serve()
    {
        try
        {
            while (true)
            {
                using Socket client = _client = _listener.Accept();
                try
                {
                    Serve(client);
                }
                catch (SocketException)
                {
                    // The client has gone.
                }
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
        }
    }

    private void Serve(Socket client)
    {
        // What there is of the handshake: no options but the name.
        client.Send(ScriptedServer.Bytes(NbdProtocol.GreetingMagic, NbdProtocol.OptionMagic, NbdProtocol.NoZeroes));
        Receive(client, sizeof(uint) + 16 + "disk".Length);
        client.Send(ScriptedServer.Bytes((ulong)_blocks.Length * Block, (ushort)NbdExportFlags.HasFlags));
        int life = _losses-- > 0 ? _random.Next(1, 60) : int.MaxValue;
        List<(NbdCommandType Type, ulong Cookie, int Block, ulong Value)> pending = [];
        while (life > 0)
        {
            if (pending.Count == 0 || (client.Poll(0, SelectMode.SelectRead) && pending.Count < 16))
            {
                byte[] header = Receive(client, 28);
                NbdCommandType type = (NbdCommandType)BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(6));
                if (type == NbdCommandType.Disconnect)
                {
                    return;
                }

                byte[] data = type == NbdCommandType.Write ? Receive(client, Block) : new byte[sizeof(ulong)];
                pending.Add((type, BinaryPrimitives.ReadUInt64BigEndian(header.AsSpan(8)),
                    (int)(BinaryPrimitives.ReadUInt64BigEndian(header.AsSpan(16)) / Block), BinaryPrimitives.ReadUInt64LittleEndian(data)));
                continue;
            }

            life--;
            int next = _random.Next(pending.Count);
            (NbdCommandType kind, ulong cookie, int block, ulong value) = pending[next];
            pending.RemoveAt(next);
            byte[] reply = ScriptedServer.Simple(cookie, 0, kind == NbdCommandType.Read ? Read(block) : null);
            if (kind == NbdCommandType.Write)
            {
                Write(block, value);
            }

            // Executed, and perhaps not answered, or in part.
            client.Send(life > 0 ? reply : reply[.._random.Next(reply.Length + 1)]);
        }

        client.Close();
        foreach ((NbdCommandType kind, _, int block, ulong value) in pending.Where(request => request.Type == NbdCommandType.Write))
        {
            Abandon(block, value, _random.Next(-20, 80));
        }
    }

    // Executes a write of a lost connection at once, later, or never.
    private void Abandon(int block, ulong value, int delay)
    {
        if (delay < -10)
        {
            return;
        }

        Thread late = new(() =>
        {
            Thread.Sleep(int.Max(delay, 0));
            Write(block, value);
        });
        lock (_late)
        {
            _late.Add(late);
        }

        late.Start();
    }

    private byte[] Read(int block)
    {
        byte[] data = new byte[Block];
        BinaryPrimitives.WriteUInt64LittleEndian(data, Volatile.Read(ref _blocks[block]));
        return data;
    }

    private void Write(int block, ulong value) => Volatile.Write(ref _blocks[block], value);

    private static byte[] Receive(Socket client, int count)
    {
        byte[] bytes = new byte[count];
        for (int received = 0; received < count;)
        {
            int part = client.Receive(bytes.AsSpan(received));
            received += part > 0 ? part : throw new SocketException((int)SocketError.ConnectionReset);
        }

        return bytes;
    }
}
