using System.Collections.Concurrent;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets;
using Ublk.Targets.Nbd;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Targets.Nbd;

/// <summary>Requests and replies on a queue's ring, with a server that answers as it likes.</summary>
public class NbdDataTests
{
    private const int Block = 4096;
    private const uint ForceUnitAccess = 1u << 13;
    private const uint NoUnmap = 1u << 15;

    [Fact]
    public void Requests_carry_what_the_driver_asked_for()
    {
        ConcurrentQueue<ScriptedServer.Request> requests = [];
        using ScriptedServer server = new(script =>
        {
            script.Open(8ul << 30);
            Echo(script, requests);
        });
        using (NbdTarget target = NbdServer.OpenUri(server.Uri))
        {
            QueueHarness.Run(target, harness =>
            {
                byte[] data = [.. Enumerable.Repeat((byte)7, Block)];
                Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Write, 8192, Block), data));
                Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Write, 0, Block, ForceUnitAccess), data));
                Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.Flush)));
                Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.Discard, 4096, 8192)));
                Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.WriteZeroes, 4096, 8192)));
                Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.WriteZeroes, 0, 512, NoUnmap | ForceUnitAccess)));
            });
        }

        Assert.Equal(
            [
                (NbdCommandType.Write, 0, 8192ul, 4096u), (NbdCommandType.Write, 1, 0ul, 4096u), (NbdCommandType.Flush, 0, 0ul, 0u),
                (NbdCommandType.Trim, 0, 4096ul, 8192u), (NbdCommandType.WriteZeroes, 0, 4096ul, 8192u),
                    (NbdCommandType.WriteZeroes, 3, 0ul, 512u),
            ],
            requests.Select(request => (request.Type, (int)request.Flags, request.Offset, request.Length)));
        Assert.All(requests.Take(2), request => Assert.Equal(-1, request.Data.AsSpan().IndexOfAnyExcept((byte)7)));
        Assert.Equal(requests.Count, requests.DistinctBy(request => request.Cookie).Count());
    }

    [Fact]
    public void A_range_is_asked_for_in_pieces_of_1_GiB()
    {
        ConcurrentQueue<ScriptedServer.Request> requests = [];
        using ScriptedServer server = new(script =>
        {
            script.Open(8ul << 30);
            Echo(script, requests);
        });
        using (NbdTarget target = NbdServer.OpenUri(server.Uri))
        {
            TargetClient client = new(target);
            client.Discard(4096, (1L << 31) + 8192);
            client.WriteZeroes(0, 1L << 30);
        }

        Assert.Equal(
            [(4096ul, 1u << 30), (4096ul + (1 << 30), 1u << 30), (4096ul + (1ul << 31), 8192u), (0ul, 1u << 30)],
            requests.Select(request => (request.Offset, request.Length)));
    }

    [Fact]
    public void What_the_server_lacks_is_done_another_way_or_refused()
    {
        ConcurrentQueue<ScriptedServer.Request> requests = [];
        NbdExportFlags flags = NbdExportFlags.HasFlags | NbdExportFlags.SendFlush;
        using ScriptedServer server = new(script =>
        {
            script.Open(flags: flags);
            Echo(script, requests);
        });
        using (NbdTarget target = NbdServer.OpenUri(server.Uri))
        {
            QueueHarness.Run(target, harness =>
            {
                Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Write, 0, Block, ForceUnitAccess), new byte[Block]));
                Assert.Equal(-Libc.EOPNOTSUPP, harness.Answer(QueueHarness.Describe(IoOperation.Discard, 0, Block)));
                Assert.Equal(-Libc.EOPNOTSUPP, harness.Answer(QueueHarness.Describe(IoOperation.WriteZeroes, 0, Block)));
            });
        }

        Assert.Equal([NbdCommandType.Write, NbdCommandType.Flush], requests.Select(request => request.Type));
        Assert.All(requests, request => Assert.Equal(0, request.Flags));
        requests.Clear();
        flags = NbdExportFlags.HasFlags;
        using (NbdTarget target = NbdServer.OpenUri(server.Uri))
        {
            new TargetClient(target).Flush();
        }

        Assert.Empty(requests);
    }

    [Fact]
    public void A_read_only_disk_writes_nothing()
    {
        using ScriptedServer server = new(script => script.Open());
        using NbdTarget target = NbdServer.OpenUri(server.Uri, readOnly: true);
        QueueHarness.Run(target, harness =>
        {
            foreach (IoOperation operation in new[] { IoOperation.Write, IoOperation.Discard, IoOperation.WriteZeroes })
            {
                Assert.Equal(-Libc.EROFS, harness.Answer(QueueHarness.Describe(operation, 0, Block), new byte[Block]));
            }
        });
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(1000)]
    [InlineData(int.MaxValue)]
    public void Replies_may_come_in_any_order_and_in_any_pieces(int piece)
    {
        const int Depth = 16;
        using ScriptedServer server = new(script =>
        {
            script.Open();
            while (true)
            {
                ScriptedServer.Request[] requests = [.. Enumerable.Range(0, Depth).Select(_ => script.ReceiveRequest())];
                byte[] replies = [.. requests.Reverse().SelectMany(request => ReplyInHalves(request))];
                foreach (byte[] part in replies.Chunk(piece))
                {
                    script.Send(part);
                }
            }
        });
        using NbdTarget target = NbdServer.OpenUri(server.Uri);
        QueueHarness.Run(target, harness =>
        {
            // Each round waits for all before the next begins, as the server does.
            for (int round = 0; round < (piece == 1 ? 1 : 5); round++)
            {
                harness.Saturate(Depth, number => QueueHarness.Describe(IoOperation.Read, number * Block, Block));
                for (int tag = 0; tag < Depth; tag++)
                {
                    Assert.Equal(-1, harness.BufferOf(tag).Span[..2048].IndexOfAnyExcept((byte)(tag + 1)));
                    Assert.Equal(-1, harness.BufferOf(tag).Span[2048..Block].IndexOfAnyExcept((byte)0));
                }
            }
        }, Depth);
    }

    [Fact]
    public void Long_writes_and_reads_are_finished_whatever_the_socket_takes_at_once()
    {
        const int Length = 4 << 20;
        byte[] stored = [];
        using ScriptedServer server = new(script =>
        {
            script.Open(64 << 20, structured: false);
            while (true)
            {
                ScriptedServer.Request request = script.ReceiveRequest();
                stored = request.Type == NbdCommandType.Write ? request.Data : stored;
                script.Send(ScriptedServer.Simple(request.Cookie, 0, request.Type == NbdCommandType.Read ? stored : null));
            }
        });
        using NbdTarget target = NbdServer.OpenUri(server.Uri);
        TargetClient client = new(target);
        byte[] data = new byte[Length];
        new Random(1).NextBytes(data);
        client.Write(0, data);
        Assert.Equal(data, stored);
        Assert.Equal(data, client.Read(0, Length));
    }

    [Theory]
    [InlineData(true, 1)]
    [InlineData(true, 27)]
    [InlineData(true, 1000)]
    [InlineData(true, int.MaxValue)]
    [InlineData(false, 15)]
    [InlineData(false, int.MaxValue)]
    public void Data_outside_memory_is_received_to_its_place_in_any_order_and_in_any_pieces(bool structured, int piece)
    {
        const int Depth = 16;
        using ScriptedServer server = new(script =>
        {
            script.Open(structured: structured);
            while (true)
            {
                ScriptedServer.Request[] requests = [.. Enumerable.Range(0, Depth).Select(_ => script.ReceiveRequest())];
                byte[] replies = [.. requests.Reverse().SelectMany(request => structured
                    ? ReplyInHalves(request)
                    : ScriptedServer.Simple(request.Cookie, 0, request.Length == 0 ? [] : DataOf(request)))];
                foreach (byte[] part in replies.Chunk(piece))
                {
                    script.Send(part);
                }
            }
        });
        using NbdTarget target = NbdServer.OpenUri(server.Uri);
        QueueHarness.Run(target, harness =>
        {
            // Each third one is in memory, and each fourth has no data.
            int rounds = piece == 1 ? 1 : 5;
            for (int round = 0; round < rounds; round++)
            {
                harness.Saturate(Depth, number => number % 4 == 3
                    ? QueueHarness.Describe(IoOperation.Flush)
                    : QueueHarness.Describe(IoOperation.Read, number * Block, LengthOf(number)));
                for (int tag = 0; tag < Depth; tag++)
                {
                    int length = tag % 4 == 3 ? 0 : LengthOf(tag);
                    int filled = structured ? length / 2 : length;
                    Assert.Equal(-1, harness.BufferOf(tag).Span[..filled].IndexOfAnyExcept((byte)(tag + 1)));
                    Assert.Equal(-1, harness.BufferOf(tag).Span[filled..length].IndexOfAnyExcept((byte)0));
                }
            }
        }, Depth, slotsFrom: Block);

        static int LengthOf(int number) => number % 3 == 2 ? Block / 2 : Block;
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Data_that_comes_with_what_was_waited_for_is_copied_to_its_place(bool structured)
    {
        // The short read is waited for without a limit when the long one is asked for: its data comes at once with the other.
        using ScriptedServer server = new(script =>
        {
            script.Open(structured: structured);
            while (true)
            {
                ScriptedServer.Request first = script.ReceiveRequest();
                ScriptedServer.Request second = script.ReceiveRequest();
                script.Send(Reply(first), Reply(second));
            }
        });
        using NbdTarget target = NbdServer.OpenUri(server.Uri);
        QueueHarness.Run(target, harness =>
        {
            for (int round = 0; round < 20; round++)
            {
                IoTask<int> first = harness.Start(1, QueueHarness.Describe(IoOperation.Read, 0, 512));
                harness.Turn();
                IoTask<int> second = harness.Start(2, QueueHarness.Describe(IoOperation.Read, Block, 16 * Block));
                Assert.Equal(512, harness.AnswerOf(first));
                Assert.Equal(16 * Block, harness.AnswerOf(second));
                Assert.Equal(-1, harness.BufferOf(1).Span[..512].IndexOfAnyExcept((byte)1));
                Assert.Equal(-1, harness.BufferOf(2).Span[..(16 * Block)].IndexOfAnyExcept((byte)2));
                harness.BufferOf(2).Span.Clear();
            }
        }, depth: 4, bufferSize: 16 * Block, slotsFrom: Block);

        byte[] Reply(in ScriptedServer.Request request) => structured
            ? ScriptedServer.Chunk(1, 1, request.Cookie, ScriptedServer.Bytes(request.Offset, DataOf(request)))
            : ScriptedServer.Simple(request.Cookie, 0, DataOf(request));
    }

    [Theory]
    [InlineData("memory")]
    [InlineData("--no-sr", "memory")]
    public void Data_outside_memory_is_stored_and_read_among_data_in_memory(params string[] arguments)
    {
        const int Longest = 1 << 20;
        using NbdServer server = NbdServer.Nbdkit([.. arguments, "64M"]);
        using NbdTarget target = server.Open();
        QueueHarness.Run(target, harness =>
        {
            for (int tag = 0; tag < 16; tag++)
            {
                new Random(tag).NextBytes(harness.BufferOf(tag).Span);
            }

            // Short and long ones alternate.
            harness.Saturate(16, number => QueueHarness.Describe(IoOperation.Write, number * Longest, LengthOf(number)));
            for (int tag = 0; tag < 16; tag++)
            {
                harness.BufferOf(tag).Span.Clear();
            }

            harness.Saturate(16, number => QueueHarness.Describe(IoOperation.Read, number * Longest, LengthOf(number)));
            byte[] expected = new byte[Longest];
            for (int tag = 0; tag < 16; tag++)
            {
                new Random(tag).NextBytes(expected);
                Assert.True(harness.BufferOf(tag).Span[..LengthOf(tag)].SequenceEqual(expected.AsSpan(0, LengthOf(tag))));
            }
        }, depth: 16, bufferSize: Longest, slotsFrom: 64 << 10);

        static int LengthOf(int number) => number % 2 == 0 ? Block : Longest;
    }

    [Fact]
    public void A_write_outside_memory_fails_with_its_connection()
    {
        using ScriptedServer server = new(script =>
        {
            script.Open(64 << 20);
            script.Receive(100_000);
        });
        using NbdTarget target = NbdServer.OpenUri(server.Uri);
        QueueHarness.Run(target, harness =>
        {
            IoTask<int>[] writes = [.. Enumerable.Range(0, 4).Select(
                tag => harness.Start(tag, QueueHarness.Describe(IoOperation.Write, tag << 20, 1 << 20)))];
            Assert.All(writes, write => Assert.Equal(-Libc.ENOLINK, harness.AnswerOf(write)));
        }, depth: 4, bufferSize: 1 << 20, slotsFrom: 64 << 10);
    }

    [Fact]
    public void A_request_that_fails_leaves_the_others_and_the_connection_whole()
    {
        using ScriptedServer server = new(script =>
        {
            script.Open();
            while (true)
            {
                ScriptedServer.Request request = script.ReceiveRequest();
                script.Send(request.Offset == 0
                    ? ScriptedServer.Chunk(1, 0x8002, request.Cookie, ScriptedServer.Bytes(28u, (ushort)4, "full", request.Offset))
                    : ReplyInHalves(request));
            }
        });
        using NbdTarget target = NbdServer.OpenUri(server.Uri);
        QueueHarness.Run(target, harness =>
        {
            byte[] data = new byte[Block];
            Assert.Equal(-Libc.ENOSPC, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), data));
            Assert.Equal(-Libc.ENOSPC, harness.Answer(QueueHarness.Describe(IoOperation.Write, 0, Block), data));
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Read, Block, Block), data));
            Assert.Equal(2, data[0]);
        });
    }

    public static TheoryData<string, NbdHandshakeTests.Script> Losses() => new()
    {
        // Whether the client sends before the server closes is up to the scheduler.
        { "sending failed|receiving failed|closed the connection", new(_ => { }) },
        { "closed the connection", new(script => First(script)) },
        { "begins with", new(script => script.Send(new byte[16], (uint)First(script))) },
        { "not in flight", new(script => script.Send(ScriptedServer.Simple(First(script) + 1))) },
        { "left out", new(script => script.Send(ScriptedServer.Chunk(1, 0, First(script), []))) },
        { "closed the connection", new(script =>
            script.Send(ScriptedServer.Chunk(1, 1, First(script), ScriptedServer.Bytes(0ul, new byte[Block])).AsSpan(0, 1000).ToArray())) },
        { "more than was asked for", new(Babble) },
    };

    [Theory]
    [MemberData(nameof(Losses))]
    public void A_connection_that_is_lost_fails_all_that_is_under_way_and_all_that_comes(string words, NbdHandshakeTests.Script script)
    {
        List<string> warnings = [];
        using ScriptedServer server = new(session =>
        {
            session.Open();
            script.Run(session);
        });
        using NbdTarget target = NbdTarget.Open(
            new TargetOptions(new Dictionary<string, string> { ["Uri"] = server.Uri }) { Warn = warnings.Add });
        QueueHarness.Run(target, harness =>
        {
            // The last script answers the first request and fails the connection by what follows.
            int first = harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), new byte[Block]);
            Assert.Contains(first, new[] { -Libc.ENOLINK, Block });
            Assert.Equal(-Libc.ENOLINK, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), new byte[Block]));
            Assert.True(harness.IsAnsweredAtOnce(QueueHarness.Describe(IoOperation.Flush)));
        });
        Assert.Matches(words, Assert.Single(warnings));
    }

    [Fact]
    public void Every_request_under_way_is_answered_when_the_server_goes()
    {
        using ScriptedServer server = new(script =>
        {
            script.Open();
            for (int count = 0; count < 20; count++)
            {
                script.ReceiveRequest();
            }
        });
        using NbdTarget target = NbdServer.OpenUri(server.Uri);
        QueueHarness.Run(target, harness =>
        {
            IoTask<int>[] answers = [.. Enumerable.Range(1, 20).Select(
                tag => harness.Start(tag, QueueHarness.Describe(tag % 2 == 0 ? IoOperation.Read : IoOperation.Write, tag * Block, Block)))];
            Assert.Equal(-Libc.ENOLINK, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), new byte[Block]));
            Assert.All(answers, answer => Assert.Equal(-Libc.ENOLINK, answer.IsCompleted ? answer.GetAwaiter().GetResult() : 1));
        }, depth: 32);
    }

    [Fact]
    public void Each_thread_has_a_connection_of_its_own()
    {
        int connections = 0;
        using NbdServer server = NbdServer.Nbdkit("memory", "16M");
        using NbdTarget target = server.Open(threads: 3);
        Assert.Equal(3, target.Files.Count);
        Thread[] threads = [.. Enumerable.Range(0, 3).Select(number => new Thread(() => QueueHarness.Run(target, harness =>
        {
            harness.Saturate(500, count => QueueHarness.Describe(IoOperation.Write, (number * 100 * Block) + (count % 100 * Block), Block));
            Interlocked.Increment(ref connections);
        })))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        Assert.Equal(3, connections);
    }

    [Fact]
    public async Task A_disconnect_is_sent_at_the_end()
    {
        // What goes on after it must not be on the server's thread, for which it waits.
        TaskCompletionSource<NbdCommandType> last = new(TaskCreationOptions.RunContinuationsAsynchronously);
        using ScriptedServer server = new(script =>
        {
            script.Open();
            last.SetResult(script.ReceiveRequest().Type);
        });
        NbdServer.OpenUri(server.Uri).Dispose();
        Assert.Equal(NbdCommandType.Disconnect, await last.Task);
    }

    private static void Echo(ScriptedServer script, ConcurrentQueue<ScriptedServer.Request> requests)
    {
        while (script.ReceiveRequest() is var request && request.Type != NbdCommandType.Disconnect)
        {
            requests.Enqueue(request);
            script.Send(ScriptedServer.Simple(request.Cookie));
        }
    }

    // The second half, a hole, comes before the first.
    private static byte[] ReplyInHalves(in ScriptedServer.Request request)
    {
        if (request.Type != NbdCommandType.Read)
        {
            return ScriptedServer.Simple(request.Cookie);
        }

        uint half = (uint)request.Length / 2;
        byte[] data = [.. Enumerable.Repeat((byte)((request.Offset / Block) + 1), (int)half)];
        return
        [
            .. ScriptedServer.Chunk(0, 2, request.Cookie, ScriptedServer.Bytes(request.Offset + half, half)),
            .. ScriptedServer.Chunk(1, 1, request.Cookie, ScriptedServer.Bytes(request.Offset, data)),
        ];
    }

    private static byte[] DataOf(in ScriptedServer.Request request) =>
        [.. Enumerable.Repeat((byte)((request.Offset / Block) + 1), (int)request.Length)];

    private static ulong First(ScriptedServer script) => script.ReceiveRequest().Cookie;

    private static void Babble(ScriptedServer script)
    {
        byte[] reply = ScriptedServer.Chunk(1, 1, First(script), ScriptedServer.Bytes(0ul, new byte[Block]));
        script.Send(reply, new byte[3]);
        script.ReceiveRequest();
    }
}
