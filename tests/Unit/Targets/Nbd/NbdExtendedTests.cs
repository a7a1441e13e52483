using System.Collections.Concurrent;
using Ublk.Io;
using Ublk.Targets;
using Ublk.Targets.Nbd;

namespace Ublk.Tests.Targets.Nbd;

/// <summary>Extended headers: requests, replies, and errors in each field.</summary>
public sealed class NbdExtendedTests : IDisposable
{
    private const int Length = 4096;
    private const ulong Start = 8192;

    private readonly NbdCommandPool _commands = new();
    private readonly BufferMemory _memory = new(1, Length);

    public void Dispose() => _memory.Dispose();

    [Fact]
    public void A_request_goes_over_the_wire_as_the_protocol_has_it()
    {
        byte[] bytes = new byte[NbdHeaders.MaxRequestLength];
        Assert.Equal(32, NbdHeaders.Write(bytes, NbdHeaderForm.Extended, NbdCommandFlags.ForceUnitAccess, NbdCommandType.Write,
            0x0102030405060708, 0x1122334455667788, 0x0000000199AABBCC));
        Assert.Equal("21E41C71002100010102030405060708112233445566778800000001" + "99AABBCC", Convert.ToHexString(bytes));
    }

    [Fact]
    public void Requests_are_extended_and_ranges_are_not_split()
    {
        ConcurrentQueue<ScriptedServer.Request> requests = [];
        using ScriptedServer server = new(script =>
        {
            script.Open(16ul << 30, extended: true);
            while (true)
            {
                ScriptedServer.Request request = script.ReceiveRequest();
                requests.Enqueue(request);
                bool isRead = request.Type == NbdCommandType.Read;
                byte[] data = isRead ? ScriptedServer.Bytes(request.Offset, new byte[request.Length]) : [];
                script.Send(ScriptedServer.ExtendedChunk(1, (ushort)(isRead ? 1 : 0), request.Cookie, request.Offset, data));
            }
        });
        using (NbdTarget target = NbdServer.OpenUri(server.Uri))
        {
            TargetClient client = new(target);
            client.Write(Length, [.. Enumerable.Repeat((byte)7, Length)]);
            Assert.Equal(new byte[Length], client.Read(0, Length));
            client.Discard(4096, 6L << 30);
            client.WriteZeroes(0, 5L << 30);
        }

        Assert.Equal(
            [
                (NbdCommandType.Write, 32, 4096ul, 4096ul), (NbdCommandType.Read, 0, 0ul, 4096ul),
                (NbdCommandType.Trim, 0, 4096ul, 6ul << 30), (NbdCommandType.WriteZeroes, 0, 0ul, 5ul << 30),
            ],
            requests.Where(request => request.Type != NbdCommandType.Disconnect)
                .Select(request => (request.Type, (int)request.Flags, request.Offset, request.Length)));
    }

    [Theory]
    [InlineData("simple reply")]
    [InlineData("was not agreed on")]
    [InlineData("not in flight")]
    [InlineData("repeats the offset")]
    [InlineData("type 3")]
    [InlineData("not the last")]
    [InlineData("has 18446744073709551615 bytes")]
    [InlineData("outside")]
    [InlineData("left out")]
    public void What_is_against_the_protocol_is_noticed(string words)
    {
        NbdCommand command = Begin();
        ulong cookie = command.Cookie;
        byte[] data = ScriptedServer.Bytes(Start, new byte[Length]);
        byte[] reply = words switch
        {
            "simple reply" => ScriptedServer.Simple(cookie, 0, new byte[Length]),
            "was not agreed on" => ScriptedServer.Chunk(1, 1, cookie, data),
            "not in flight" => ScriptedServer.ExtendedChunk(1, 1, cookie + 1, Start, data),
            "repeats the offset" => ScriptedServer.ExtendedChunk(1, 1, cookie, Start + 1, data),
            "type 3" => ScriptedServer.ExtendedChunk(1, 3, cookie, Start, data),
            "not the last" => ScriptedServer.ExtendedChunk(0, 0, cookie, Start, []),
            "outside" => ScriptedServer.Bytes(
                NbdProtocol.ExtendedChunkMagic, (ushort)1, (ushort)1, cookie, Start, (1ul << 32) + Length + 8, Start),
            "left out" => ScriptedServer.ExtendedChunk(1, 0, cookie, Start, []),
            _ => ScriptedServer.Bytes(NbdProtocol.ExtendedChunkMagic, (ushort)1, (ushort)0x8001, cookie, Start, ulong.MaxValue),
        };
        NbdReplies replies = new(_commands, _ => Assert.Fail("It was answered."), NbdHeaderForm.Extended);
        Assert.Contains(words, Assert.Throws<UblkException>(() => replies.Take(reply)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void An_extended_reply_that_was_not_agreed_on_is_noticed(int form)
    {
        NbdReplies replies = new(_commands, _ => Assert.Fail("It was answered."), (NbdHeaderForm)form);
        byte[] reply = ScriptedServer.ExtendedChunk(1, 0, Begin().Cookie, Start, []);
        Assert.Throws<UblkException>(() => replies.Take(reply));
    }

    [Fact]
    public void A_reply_is_understood_wherever_it_is_split_without_an_allocation()
    {
        int answers = 0;
        NbdReplies replies = new(_commands, command => answers++, NbdHeaderForm.Extended);
        NbdCommand command = Begin();
        byte[] reply = ScriptedServer.ExtendedChunk(1, 1, command.Cookie, Start, ScriptedServer.Bytes(Start, new byte[Length]));
        long allocated = 0;
        for (int split = 0; split <= reply.Length; split++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            command.Rewind(NbdHeaderForm.Extended);
            System.Buffers.Binary.BinaryPrimitives.WriteUInt64BigEndian(reply.AsSpan(8), command.Cookie);
            int taken = replies.Take(reply.AsSpan(0, split));
            taken += replies.Take(reply.AsSpan(taken));
            allocated += split > 100 ? GC.GetAllocatedBytesForCurrentThread() - before : 0;
            Assert.Equal((reply.Length, split + 1), (taken, answers));
        }

        Assert.Equal(0, allocated);
    }

    private NbdCommand Begin()
    {
        NbdCommand command = _commands.Rent();
        command.Load(
            NbdHeaderForm.Extended, NbdCommandType.Read, NbdCommandFlags.None, (long)Start, Length,
            new IoBuffer(_memory.AddressOf(0), Length));
        return command;
    }
}
