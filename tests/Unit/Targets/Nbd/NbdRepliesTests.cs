using Ublk.Io;
using Ublk.Targets.Nbd;

namespace Ublk.Tests.Targets.Nbd;

/// <summary>Replies byte by byte, and whatever a server may do wrong in them.</summary>
public sealed class NbdRepliesTests : IDisposable
{
    private const int Length = 4096;
    private const ulong Start = 8192;
    private const ushort Done = NbdProtocol.ChunkDone;

    private readonly NbdCommandPool _commands = new();
    private readonly BufferMemory _memory = new(4, Length);
    private readonly List<NbdCommand> _answered = [];

    public void Dispose() => _memory.Dispose();

    public static TheoryData<string, byte[]> Replies()
    {
        byte[] data = Data(Length);
        return new TheoryData<string, byte[]>
        {
            { "one chunk", Chunk(Done, 1, ScriptedServer.Bytes(Start, data)) },
            { "data in order", [.. Chunk(0, 1, ScriptedServer.Bytes(Start, data[..1000])),
                .. Chunk(Done, 1, ScriptedServer.Bytes(Start + 1000, data[1000..]))] },
            { "data out of order", [.. Chunk(0, 1, ScriptedServer.Bytes(Start + 1000, data[1000..])),
                .. Chunk(Done, 1, ScriptedServer.Bytes(Start, data[..1000]))] },
            { "an empty end", [.. Chunk(0, 1, ScriptedServer.Bytes(Start, data)), .. Chunk(Done, 0, [])] },
            {
                "holes between",
                [
                    .. Chunk(0, 1, ScriptedServer.Bytes(Start, data[..1024])), .. Chunk(0, 2, ScriptedServer.Bytes(Start + 1024, 1024u)),
                    .. Chunk(0, 1, ScriptedServer.Bytes(Start + 2048, data[2048..3072])),
                        .. Chunk(Done, 2, ScriptedServer.Bytes(Start + 3072, 1024u)),
                ]
            },
        };
    }

    [Theory]
    [MemberData(nameof(Replies))]
    public void A_reply_is_understood_wherever_it_is_split(string name, byte[] reply)
    {
        byte[] expected = name == "holes between"
            ? [.. Data(Length).Select((value, place) => place / 1024 % 2 == 0 ? value : (byte)0)]
            : Data(Length);
        for (int split = 0; split <= reply.Length; split++)
        {
            NbdCommand command = Begin(NbdCommandType.Read, out IoBuffer buffer);
            buffer.Span.Fill(0xEE);
            NbdReplies replies = Reader(structured: true);
            byte[] bytes = WithCookie(reply, command.Cookie);
            int taken = replies.Take(bytes.AsSpan(0, split));
            Assert.Equal(bytes.Length - taken, replies.Take(bytes.AsSpan(taken)));
            Assert.Equal([command], _answered);
            Assert.Equal(0, command.Errno);
            Assert.True(buffer.Span.SequenceEqual(expected));
            End(command);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Bytes_may_come_one_by_one(bool structured)
    {
        NbdCommand first = Begin(NbdCommandType.Read, out IoBuffer buffer);
        NbdCommand second = Begin(NbdCommandType.Write, out _);
        NbdCommand third = Begin(NbdCommandType.Flush, out _);
        byte[] read = structured
            ? ScriptedServer.Chunk(Done, 1, first.Cookie, ScriptedServer.Bytes(Start, Data(Length)))
            : ScriptedServer.Simple(first.Cookie, 0, Data(Length));
        byte[] bytes = [.. ScriptedServer.Simple(third.Cookie), .. read, .. ScriptedServer.Simple(second.Cookie, 28)];
        NbdReplies replies = Reader(structured);
        int taken = 0;
        for (int end = 1; end <= bytes.Length; end++)
        {
            taken += replies.Take(bytes.AsSpan(taken, end - taken));
        }

        Assert.Equal(bytes.Length, taken);
        Assert.Equal([third, first, second], _answered);
        Assert.Equal([0, 0, 28], _answered.Select(command => command.Errno));
        Assert.True(buffer.Span.SequenceEqual(Data(Length)));
    }

    [Fact]
    public void Chunks_of_several_replies_may_be_mixed()
    {
        NbdCommand one = Begin(NbdCommandType.Read, out IoBuffer first);
        NbdCommand other = Begin(NbdCommandType.Read, out IoBuffer second);
        byte[] data = Data(Length);
        NbdReplies replies = Reader(structured: true);
        byte[] bytes =
        [
            .. ScriptedServer.Chunk(0, 1, one.Cookie, ScriptedServer.Bytes(Start + 2048, data[2048..])),
            .. ScriptedServer.Chunk(0, 1, other.Cookie, ScriptedServer.Bytes(Start, data[..2048])),
            .. ScriptedServer.Chunk(Done, 1, one.Cookie, ScriptedServer.Bytes(Start, data[..2048])),
            .. ScriptedServer.Chunk(Done, 1, other.Cookie, ScriptedServer.Bytes(Start + 2048, data[2048..])),
        ];
        Assert.Equal(bytes.Length, replies.Take(bytes));
        Assert.Equal([one, other], _answered);
        Assert.True(first.Span.SequenceEqual(data) && second.Span.SequenceEqual(data));
    }

    [Fact]
    public void An_error_chunk_fails_the_read_once_its_reply_is_done()
    {
        NbdCommand command = Begin(NbdCommandType.Read, out _);
        NbdReplies replies = Reader(structured: true);
        replies.Take(ScriptedServer.Chunk(0, 0x8002, command.Cookie, ScriptedServer.Bytes(5u, (ushort)3, "bad", Start + 512)));
        Assert.Empty(_answered);
        replies.Take(ScriptedServer.Chunk(0, 0x8001, command.Cookie, ScriptedServer.Bytes(28u, (ushort)0)));
        replies.Take(ScriptedServer.Chunk(0, 1, command.Cookie, ScriptedServer.Bytes(Start, Data(512))));
        Assert.Empty(_answered);
        replies.Take(ScriptedServer.Chunk(Done, 0, command.Cookie, []));
        Assert.Equal([command], _answered);
        Assert.Equal(5, command.Errno);
    }

    [Fact]
    public void An_error_of_an_unknown_type_is_one_all_the_same()
    {
        NbdCommand command = Begin(NbdCommandType.Write, out _);
        Reader(structured: true).Take(
            ScriptedServer.Chunk(Done, 0x8123, command.Cookie, ScriptedServer.Bytes(28u, (ushort)2, "no", "something more")));
        Assert.Equal([command], _answered);
        Assert.Equal(28, command.Errno);
    }

    public static TheoryData<string, bool, byte[]> Violations()
    {
        byte[] data = Data(Length);
        return new TheoryData<string, bool, byte[]>
        {
            { "begins with", true, ScriptedServer.Bytes(0x12345678u) },
            { "was not agreed on", false, Chunk(Done, 1, ScriptedServer.Bytes(Start, data)) },
            { "a simple reply to a read", true, ScriptedServer.Simple(0) },
            { "not in flight", true, ScriptedServer.Chunk(Done, 0, ulong.MaxValue, []) },
            { "not in flight", false, ScriptedServer.Simple(ulong.MaxValue) },
            { "not the last", true, Chunk(0, 0, []) },
            { "a chunk of type 0 has 1", true, Chunk(Done, 0, [0]) },
            { "a chunk of type 1 has 8", true, Chunk(0, 1, ScriptedServer.Bytes(Start)) },
            { "a chunk of type 1 has 0", true, Chunk(0, 1, []) },
            { "a chunk of type 2 has 11", true, Chunk(0, 2, new byte[11]) },
            { "a chunk of type 2 has 13", true, Chunk(0, 2, new byte[13]) },
            { "outside", true, Chunk(0, 1, ScriptedServer.Bytes(Start - 1, data)) },
            { "outside", true, Chunk(0, 1, ScriptedServer.Bytes(Start + 1, data)) },
            { "outside", true, Chunk(0, 1, ScriptedServer.Bytes(ulong.MaxValue, data)) },
            { "outside", true, Chunk(0, 2, ScriptedServer.Bytes(Start, Length + 1u)) },
            { "outside", true, Chunk(0, 2, ScriptedServer.Bytes(Start, uint.MaxValue)) },
            { "outside", true, Chunk(0, 2, ScriptedServer.Bytes(Start, 0u)) },
            { "outside", true, Chunk(0, 2, ScriptedServer.Bytes(Start + Length, 1u)) },
            { "outside", true, Chunk(0, 2, ScriptedServer.Bytes(ulong.MaxValue, 2u)) },
            { "twice", true,
                [.. Chunk(0, 2, ScriptedServer.Bytes(Start, 512u)), .. Chunk(0, 1, ScriptedServer.Bytes(Start + 511, data[..2]))] },
            { "left out", true, Chunk(Done, 1, ScriptedServer.Bytes(Start, data[..4095])) },
            { "left out", true, Chunk(Done, 0, []) },
            { "left out", true, Chunk(Done, 2, ScriptedServer.Bytes(Start + 512, 512u)) },
            { "type 3", true, Chunk(Done, 3, []) },
            { "type 5", true, Chunk(Done, 5, new byte[12]) },
            { "a chunk of type 8001 has 5", true, Chunk(Done, 0x8001, new byte[5]) },
            { "a chunk of type 8001 has 8", true, Chunk(Done, 0x8001, ScriptedServer.Bytes(5u, (ushort)3, "no")) },
            { "a chunk of type 8001 has 9", true, Chunk(Done, 0x8001, ScriptedServer.Bytes(5u, (ushort)2, "bad")) },
            { "a chunk of type 8001 has 4103", true, Chunk(Done, 0x8001, ScriptedServer.Bytes(5u, (ushort)4097, new byte[4097])) },
            { "a chunk of type 8002 has 13", true, Chunk(Done, 0x8002, ScriptedServer.Bytes(5u, (ushort)0, new byte[7])) },
            { "outside", true, Chunk(Done, 0x8002, ScriptedServer.Bytes(5u, (ushort)0, Start + Length)) },
            { "a chunk of type 8005 has 16385", true, Chunk(Done, 0x8005, new byte[16385]) },
        };
    }

    [Theory]
    [MemberData(nameof(Violations))]
    public void What_is_against_the_protocol_is_noticed(string words, bool structured, byte[] reply)
    {
        NbdCommand command = Begin(NbdCommandType.Read, out _);
        UblkException violation = Assert.Throws<UblkException>(() => Reader(structured).Take(WithCookie(reply, command.Cookie)));
        Assert.Equal(UblkError.ConnectionFailed, violation.Error);
        Assert.Contains(words, violation.Message, StringComparison.Ordinal);
        Assert.Empty(_answered);
    }

    // The length alone is enough: nothing of the payload must be waited for.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(0x8001)]
    [InlineData(0x8002)]
    [InlineData(0x9999)]
    public void A_length_of_4_GiB_is_refused_or_outside(ushort type)
    {
        NbdCommand command = Begin(NbdCommandType.Read, out _);
        byte[] reply = ScriptedServer.Bytes(NbdProtocol.ChunkMagic, (ushort)0, type, command.Cookie, uint.MaxValue, Start);
        Assert.Throws<UblkException>(() => Reader(structured: true).Take(reply));
    }

    [Fact]
    public void Data_for_a_write_is_noticed()
    {
        NbdCommand command = Begin(NbdCommandType.Write, out _);
        Assert.Throws<UblkException>(() => Reader(structured: true).Take(
            ScriptedServer.Chunk(Done, 1, command.Cookie, ScriptedServer.Bytes(Start, Data(Length)))));
    }

    [Fact]
    public void A_second_reply_is_noticed()
    {
        NbdCommand command = Begin(NbdCommandType.Write, out _);
        NbdReplies replies = Reader(structured: true);
        byte[] reply = ScriptedServer.Simple(command.Cookie);
        replies.Take(reply);
        End(command);
        Assert.Throws<UblkException>(() => replies.Take(reply));

        // Not even the next request in its place is taken for it.
        NbdCommand next = Begin(NbdCommandType.Write, out _);
        Assert.Same(command, next);
        Assert.Throws<UblkException>(() => replies.Take(reply));
    }

    [Fact]
    public void Any_bytes_are_taken_or_refused()
    {
        Random random = new(1);
        byte[][] seeds = [.. Replies().Select(row => row.Data.Item2), .. Violations().Select(row => row.Data.Item3)];
        for (int round = 0; round < 20_000; round++)
        {
            NbdCommand command = Begin(NbdCommandType.Read, out _);
            byte[] bytes = WithCookie(seeds[random.Next(seeds.Length)], command.Cookie);
            for (int change = random.Next(4); change > 0; change--)
            {
                bytes[random.Next(int.Min(bytes.Length, 64))] = (byte)random.Next(256);
            }

            try
            {
                int taken = Reader(random.Next(4) > 0).Take(bytes);
                Assert.InRange(taken, 0, bytes.Length);
            }
            catch (UblkException)
            {
            }

            End(command);
        }
    }

    private static byte[] Data(int length) => [.. Enumerable.Range(1, length).Select(number => (byte)(number % 251))];

    // The cookie is not known yet.
    private static byte[] Chunk(ushort flags, ushort type, byte[] payload) => ScriptedServer.Chunk(flags, type, 0, payload);

    private static byte[] WithCookie(byte[] reply, ulong cookie)
    {
        byte[] bytes = [.. reply];
        byte[] wanted = ScriptedServer.Bytes(cookie);
        for (int place = 0; place + 20 <= bytes.Length;)
        {
            bool isChunk = bytes.AsSpan(place, 4).SequenceEqual(ScriptedServer.Bytes(NbdProtocol.ChunkMagic));
            if (!isChunk && !bytes.AsSpan(place, 4).SequenceEqual(ScriptedServer.Bytes(NbdProtocol.SimpleReplyMagic)))
            {
                break;
            }

            if (bytes.AsSpan(place + 8, 8).SequenceEqual(new byte[8]))
            {
                wanted.CopyTo(bytes.AsSpan(place + 8));
            }

            place += isChunk ? 20 + System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(bytes.AsSpan(place + 16)) : 16;
        }

        return bytes.Length == 16 && bytes.AsSpan(8).SequenceEqual(new byte[8]) ? [.. bytes[..8], .. wanted] : bytes;
    }

    private NbdReplies Reader(bool structured)
    {
        _answered.Clear();
        return new NbdReplies(_commands, command =>
        {
            command.IsReplied = true;
            _answered.Add(command);
        }, structured ? NbdHeaderForm.Structured : NbdHeaderForm.Simple);
    }

    private NbdCommand Begin(NbdCommandType type, out IoBuffer buffer)
    {
        NbdCommand command = _commands.Rent();
        int length = type is NbdCommandType.Read or NbdCommandType.Write ? Length : 0;
        buffer = new IoBuffer(_memory.AddressOf(_commands.Active - 1), length);
        command.Load(NbdHeaderForm.Structured, type, NbdCommandFlags.None, (long)Start, (uint)length, buffer);
        return command;
    }

    private void End(NbdCommand command)
    {
        IoTask<int> task = command.Task;
        _commands.Complete(command, 0);
        Assert.Equal(0, task.GetAwaiter().GetResult());
    }
}
