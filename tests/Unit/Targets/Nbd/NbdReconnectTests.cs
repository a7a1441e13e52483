using System.Collections.Concurrent;
using System.Diagnostics;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets;
using Ublk.Targets.Nbd;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Targets.Nbd;

/// <summary>Connections that are lost, and what becomes of the requests.</summary>
public class NbdReconnectTests
{
    private const int Block = 4096;
    private const uint ForceUnitAccess = 1u << 13;

    private readonly ConcurrentQueue<string> _log = new();

    [Fact]
    public void Requests_in_flight_are_done_by_the_next_server_once_the_former_has_certainly_ended()
    {
        using TemporaryFile file = new(1 << 20);
        using NbdServer server = NbdServer.Nbdkit("--filter=delay", "file", file.Path, "delay-write=1", "delay-zero=1", "delay-trim=1");
        using NbdTarget target = Open(server.Uri());
        QueueHarness.Run(target, harness =>
        {
            harness.BufferOf(1).Span.Fill(7);
            IoTask<int> write = harness.Start(1, QueueHarness.Describe(IoOperation.Write, 0, Block));
            IoTask<int> trim = harness.Start(2, QueueHarness.Describe(IoOperation.Discard, Block, Block));
            IoTask<int> zeroes = harness.Start(3, QueueHarness.Describe(IoOperation.WriteZeroes, 2 * Block, Block));
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), new byte[Block]));
            server.Kill();
            server.Restart();
            Assert.Equal(Block, harness.AnswerOf(write));
            Assert.Equal(0, harness.AnswerOf(trim));
            Assert.Equal(0, harness.AnswerOf(zeroes));
            byte[] data = new byte[Block];
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), data));
            Assert.Equal(-1, data.AsSpan().IndexOfAnyExcept((byte)7));
        });
        Assert.Equal((1, 1, 0), Counted(target));
        Assert.Collection(_log,
            line => Assert.Contains("wait up to 60 s", line, StringComparison.Ordinal),
            line => Assert.Contains("connection to the NBD server again", line, StringComparison.Ordinal));
    }

    [Fact]
    public void A_write_that_the_former_session_may_still_execute_fails_and_nothing_newer_is_written_there()
    {
        ConcurrentQueue<ScriptedServer.Request> later = [];
        int session = 0;
        using ScriptedServer server = new(script =>
        {
            script.Open();
            if (session++ == 0)
            {
                Assert.Equal(NbdCommandType.Write, script.ReceiveRequest().Type);
                return;
            }

            Serve(script, later);
        });
        using NbdTarget target = Open(server.Uri);
        QueueHarness.Run(target, harness =>
        {
            byte[] data = new byte[Block];
            Assert.Equal(-Libc.ENOLINK, harness.Answer(QueueHarness.Describe(IoOperation.Write, 8192, Block), data));
            Assert.Equal(-Libc.EIO, harness.Answer(QueueHarness.Describe(IoOperation.Write, 8192 + 3584, Block), data));
            Assert.Equal(-Libc.EIO, harness.Answer(QueueHarness.Describe(IoOperation.Write, 4096, 2 * Block), new byte[2 * Block]));
            Assert.Equal(-Libc.EIO, harness.Answer(QueueHarness.Describe(IoOperation.Discard, 0, 64 << 10)));
            Assert.Equal(-Libc.EIO, harness.Answer(QueueHarness.Describe(IoOperation.WriteZeroes, 8192, 512)));
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Write, 4096, Block), data));
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Write, 8192 + Block, Block), data));
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Read, 8192, Block), data));
        });
        Assert.Equal((1, 1, Block), Counted(target));
        Assert.Equal([4096ul, 8192ul + Block, 8192ul], later.Select(request => request.Offset));
    }

    [Fact]
    public void What_cannot_harm_is_sent_again()
    {
        ConcurrentQueue<ScriptedServer.Request> later = [];
        int session = 0;
        using ScriptedServer server = new(script =>
        {
            script.Open();
            if (session++ == 0)
            {
                // Half of a read's data comes, which the next reply must not miss.
                ulong cookie = script.ReceiveRequest().Cookie;
                script.Send(ScriptedServer.Chunk(0, 1, cookie, ScriptedServer.Bytes(0ul, new byte[Block / 2])));
                script.ReceiveRequest();
                return;
            }

            Serve(script, later);
        });
        using NbdTarget target = Open(server.Uri);
        QueueHarness.Run(target, harness =>
        {
            IoTask<int> read = harness.Start(1, QueueHarness.Describe(IoOperation.Read, 0, Block));
            IoTask<int> flush = harness.Start(2, QueueHarness.Describe(IoOperation.Flush));
            Assert.Equal(Block, harness.AnswerOf(read));
            Assert.Equal(0, harness.AnswerOf(flush));
            Assert.Equal(-1, harness.BufferOf(1).Span[..Block].IndexOfAnyExcept((byte)1));
        });
        Assert.Equal([NbdCommandType.Read, NbdCommandType.Flush], later.Select(request => request.Type).Order());
    }

    [Fact]
    public void A_request_that_was_answered_before_the_loss_is_not_sent_again()
    {
        ConcurrentQueue<ScriptedServer.Request> later = [];
        int session = 0;
        using ScriptedServer server = new(script =>
        {
            script.Open();
            if (session++ == 0)
            {
                ScriptedServer.Request first = script.ReceiveRequest();
                script.ReceiveRequest();
                script.Send(ScriptedServer.Simple(first.Cookie));
                return;
            }

            Serve(script, later);
        });
        using NbdTarget target = Open(server.Uri);
        QueueHarness.Run(target, harness =>
        {
            IoTask<int> write = harness.Start(1, QueueHarness.Describe(IoOperation.Write, 0, Block));
            IoTask<int> read = harness.Start(2, QueueHarness.Describe(IoOperation.Read, 0, Block));
            Assert.Equal(Block, harness.AnswerOf(write));
            Assert.Equal(Block, harness.AnswerOf(read));
        });
        Assert.Equal(NbdCommandType.Read, Assert.Single(later).Type);
        Assert.Equal((1, 1, 0), Counted(target));
    }

    [Theory]
    [InlineData(false, false, 0u)]
    [InlineData(true, false, 0u)]
    [InlineData(true, true, 0u)]
    [InlineData(true, false, ForceUnitAccess)]
    public void A_flush_fails_once_where_writes_may_be_lost_with_the_servers_cache(bool writes, bool flushes, uint flags)
    {
        int session = 0;
        using ScriptedServer server = new(script =>
        {
            script.Open();
            Serve(script, [], count: session++ == 0 ? (writes ? 1 : 0) + (flushes ? 1 : 0) + 1 : int.MaxValue);
        });
        using NbdTarget target = Open(server.Uri);
        QueueHarness.Run(target, harness =>
        {
            byte[] data = new byte[Block];
            if (writes)
            {
                Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Write, 0, Block, flags), data));
            }

            if (flushes)
            {
                Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.Flush)));
            }

            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), data));
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), data));
            bool isLost = writes && !flushes && flags == 0;
            Assert.Equal(isLost ? -Libc.EIO : 0, harness.Answer(QueueHarness.Describe(IoOperation.Flush)));
            Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.Flush)));
        });
    }

    [Fact]
    public void Every_flush_that_waited_fails_where_writes_may_be_lost()
    {
        int session = 0;
        using ScriptedServer server = new(script =>
        {
            script.Open();
            if (session++ == 0)
            {
                Serve(script, [], count: 1);
                script.ReceiveRequest();
                script.ReceiveRequest();
                return;
            }

            Serve(script, []);
        });
        using NbdTarget target = Open(server.Uri);
        QueueHarness.Run(target, harness =>
        {
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Write, 0, Block), new byte[Block]));
            IoTask<int> first = harness.Start(1, QueueHarness.Describe(IoOperation.Flush));
            IoTask<int> second = harness.Start(2, QueueHarness.Describe(IoOperation.Flush));
            Assert.Equal(-Libc.EIO, harness.AnswerOf(first));
            Assert.Equal(-Libc.EIO, harness.AnswerOf(second));
            Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.Flush)));
        });
    }

    [Fact]
    public void Requests_fail_when_the_time_is_up_and_work_again_when_the_server_is_back()
    {
        using TemporaryFile file = new(1 << 20);
        using NbdServer server = NbdServer.Nbdkit("file", file.Path);
        using NbdTarget target = Open(server.Uri(), reconnect: 1);
        QueueHarness.Run(target, harness =>
        {
            byte[] data = new byte[Block];
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), data));
            server.Kill();
            Assert.Equal(-Libc.ENOLINK, harness.Answer(QueueHarness.Describe(IoOperation.Write, 0, Block), data));
            Assert.True(harness.IsAnsweredAtOnce(QueueHarness.Describe(IoOperation.Read, 0, Block)));
            server.Restart();
            Stopwatch time = Stopwatch.StartNew();
            int result;
            while ((result = harness.Answer(QueueHarness.Describe(IoOperation.Write, 0, Block), data)) < 0)
            {
                Assert.Equal(-Libc.ENOLINK, result);
                Assert.True(time.Elapsed < TimeSpan.FromSeconds(20));
                harness.TurnFor(TimeSpan.FromMilliseconds(20));
            }
        });
        Assert.Equal((1, 1, 0), Counted(target));
    }

    public static TheoryData<string, ulong, int, uint> Changes() => new()
    {
        { "4096 bytes instead of 1048576", 4096, 0, 512 },
        { "does not support SendFlush", 1 << 20, (int)NbdExportFlags.SendFlush, 512 },
        { "does not support SendFua", 1 << 20, (int)NbdExportFlags.SendFua, 512 },
        { "does not support SendTrim", 1 << 20, (int)NbdExportFlags.SendTrim, 512 },
        { "does not support SendWriteZeroes", 1 << 20, (int)NbdExportFlags.SendWriteZeroes, 512 },
        { "read-only", 1 << 20, (int)NbdExportFlags.ReadOnly, 512 },
        { "its blocks", 1 << 20, 0, 4096 },
    };

    [Theory]
    [MemberData(nameof(Changes))]
    public void An_export_that_became_another_ends_the_disk(string words, ulong size, int changed, uint block)
    {
        int session = 0;
        using ScriptedServer server = new(script =>
        {
            bool isFirst = session++ == 0;
            NbdExportFlags flags = NbdExportFlags.HasFlags | NbdExportFlags.SendFlush | NbdExportFlags.SendFua | NbdExportFlags.SendTrim
                | NbdExportFlags.SendWriteZeroes;
            script.Open(isFirst ? 1 << 20 : size, flags: isFirst ? flags : flags ^ (NbdExportFlags)changed,
                blocks: (isFirst ? 512 : block, 4096, 32 << 20));
            script.ReceiveRequest();
        });
        using NbdTarget target = Open(server.Uri);
        QueueHarness.Run(target, harness =>
        {
            Assert.Equal(-Libc.ENOLINK, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), new byte[Block]));
            Assert.True(harness.IsAnsweredAtOnce(QueueHarness.Describe(IoOperation.Read, 0, Block)));
        });
        Assert.Contains(words, _log.Last(), StringComparison.Ordinal);
    }

    [Fact]
    public void An_export_that_grew_is_served_on_and_noticed()
    {
        int session = 0;
        using ScriptedServer server = new(script =>
        {
            script.Open(session == 0 ? 1u << 20 : 1 << 21);
            Serve(script, [], count: session++ == 0 ? 1 : int.MaxValue);
        });
        using NbdTarget target = Open(server.Uri);
        QueueHarness.Run(target, harness =>
        {
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), new byte[Block]));
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), new byte[Block]));
        });
        Assert.True(SpinWait.SpinUntil(() => _log.Count == 2, TimeSpan.FromSeconds(20)));
        Assert.Contains("has grown to 2097152 bytes", _log.Last(), StringComparison.Ordinal);
        Assert.Equal((NbdTarget.Definition.SizeCounter, 1 << 21), (target.Counters[3].Name, target.Counters[3].Value));
    }

    [Fact]
    public void An_export_that_grew_must_not_shrink_again()
    {
        int session = 0;
        using ScriptedServer server = new(script =>
        {
            script.Open(session == 1 ? 1u << 21 : 1 << 20);
            Serve(script, [], count: session++ < 2 ? 1 : int.MaxValue);
        });
        using NbdTarget target = Open(server.Uri);
        QueueHarness.Run(target, harness =>
        {
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), new byte[Block]));
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), new byte[Block]));
            Assert.Equal(-Libc.ENOLINK, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), new byte[Block]));
        });
    }

    [Fact]
    public void A_server_that_does_not_answer_in_time_is_left()
    {
        int session = 0;
        using ScriptedServer server = new(script =>
        {
            script.Open();
            if (session++ == 0)
            {
                // Answered as long as it is not the fourth.
                Serve(script, [], count: 3);
                script.ReceiveRequest();
                script.Receive(1);
            }

            Serve(script, []);
        });
        using NbdTarget target = Open(server.Uri, options: ("RequestTimeout", "1"));
        QueueHarness.Run(target, harness =>
        {
            for (int count = 0; count < 5; count++)
            {
                Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), new byte[Block]));
            }
        });
        Assert.Contains("no answer for 1 s", _log.First(), StringComparison.Ordinal);
        Assert.Equal((1, 1, 0), Counted(target));
    }

    [Fact]
    public void A_disk_that_waits_for_its_server_can_be_closed()
    {
        using NbdServer server = NbdServer.Nbdkit("memory", "1M");
        Stopwatch time = Stopwatch.StartNew();
        using (NbdTarget target = Open(server.Uri(), reconnect: 1_000_000))
        {
            QueueHarness.Run(target, harness =>
            {
                server.Kill();
                IoTask<int> read = harness.Start(1, QueueHarness.Describe(IoOperation.Read, 0, Block));
                harness.TurnFor(TimeSpan.FromMilliseconds(200));
                Assert.False(read.IsCompleted);
            });
        }

        Assert.True(time.Elapsed < TimeSpan.FromSeconds(15), $"It took {time.Elapsed}.");
    }

    [Fact]
    public void All_connections_are_lost_and_come_again_together()
    {
        using TemporaryFile file = new(16 << 20);
        using NbdServer server = NbdServer.Nbdkit("--filter=multi-conn", "file", file.Path, "multi-conn-mode=unsafe");
        using NbdTarget target = Open(server.Uri(), threads: 3);
        using Barrier barrier = new(4);
        Thread[] threads = [.. Enumerable.Range(0, 3).Select(number => new Thread(() => QueueHarness.Run(target, harness =>
        {
            UblkIoDescriptor Next(int count) =>
                QueueHarness.Describe(IoOperation.Write, (number * 100 * Block) + (count % 100 * Block), Block);
            harness.Saturate(200, Next);
            barrier.SignalAndWait();
            harness.Saturate(20_000, Next);
        })))];
        Array.ForEach(threads, thread => thread.Start());
        barrier.SignalAndWait(TestContext.Current.CancellationToken);
        for (int count = 0; count < 8; count++)
        {
            Thread.Sleep(count * 15 % 100);
            server.Kill();
            server.Restart();
        }

        Array.ForEach(threads, thread => thread.Join());
        (long losses, long returns, long uncertain) = Counted(target);
        Assert.InRange(losses, 1, 8);
        Assert.Equal(losses, returns);
        Assert.Equal(0, uncertain);
    }

    [Fact]
    public void A_server_whose_process_cannot_be_known_is_not_certain_to_have_ended()
    {
        // A server that has children may have one of them serve.
        using ScriptedServer parent = new(script => script.Open());
        using Process child = Process.Start("sleep", "1000");
        using NbdSession forked = NbdSession.Open(NbdUri.Parse(parent.Uri), 1, "parent", TimeSpan.FromSeconds(20), NbdPeer.Of);
        Assert.Null(NbdPeer.Of(forked.Sockets[0].Handle));
        child.Kill();
        using NbdServer network = NbdServer.Tcp("memory", "1M");
        using NbdSession far = NbdSession.Open(
            NbdUri.Parse($"nbd://127.0.0.1:{network.Port}"), 1, "far", TimeSpan.FromSeconds(20), NbdPeer.Of);
        network.Kill();
        Assert.False(far.HasServerEnded(TimeSpan.FromMilliseconds(100)));
        using NbdServer near = NbdServer.Nbdkit("memory", "1M");
        using NbdSession local = NbdSession.Open(NbdUri.Parse(near.Uri()), 1, "near", TimeSpan.FromSeconds(20), NbdPeer.Of);
        Assert.False(local.HasServerEnded(TimeSpan.Zero));
        near.Kill();
        Assert.True(local.HasServerEnded(TimeSpan.FromSeconds(20)));
    }

    private static (long Losses, long Returns, long Uncertain) Counted(NbdTarget target)
    {
        // The last one is counted a moment after the requests go on.
        SpinWait.SpinUntil(() => target.Counters[0].Value == target.Counters[1].Value, TimeSpan.FromSeconds(2));
        return (target.Counters[0].Value, target.Counters[1].Value, target.Counters[2].Value);
    }

    // Answers requests; then closes the connection.
    private static void Serve(ScriptedServer script, ConcurrentQueue<ScriptedServer.Request> requests, int count = int.MaxValue)
    {
        for (; count > 0 && script.ReceiveRequest() is var request && request.Type != NbdCommandType.Disconnect; count--)
        {
            requests.Enqueue(request);
            byte[] data = [.. Enumerable.Repeat((byte)1, (int)request.Length)];
            script.Send(request.Type == NbdCommandType.Read
                ? ScriptedServer.Chunk(1, 1, request.Cookie, ScriptedServer.Bytes(request.Offset, data))
                : ScriptedServer.Simple(request.Cookie));
        }
    }

    private NbdTarget Open(string uri, int threads = 1, int reconnect = 60, params IEnumerable<(string Name, string Value)> options) =>
        NbdServer.OpenWith(uri, threads, readOnly: false, _log.Enqueue, options.Append(("ReconnectTimeout", $"{reconnect}")));
}
