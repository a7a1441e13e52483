using System.Text.RegularExpressions;
using Ublk.Io;
using Ublk.Targets.Nbd;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Targets.Nbd;

/// <summary>Several connections for a queue's thread.</summary>
public partial class NbdConnectionCountTests
{
    private const int Block = 4096;

    [Theory]
    [InlineData(1, 3)]
    [InlineData(2, 5)]
    public void Requests_are_spread_over_the_connections_and_one_flush_is_sent_for_all(int threads, int connections)
    {
        using TemporaryFile log = new(0);
        using NbdServer server = NbdServer.Nbdkit("--filter=log", "memory", "16M", $"logfile={log.Path}");
        using (NbdTarget target = Open(server.Uri(), threads, connections))
        {
            Assert.Equal(connections, target.Files.Count);
            using Barrier together = new(threads);
            Thread[] clients = [.. Enumerable.Range(0, threads).Select(thread => new Thread(() => QueueHarness.Run(target, harness =>
            {
                // Both have their connections before one of them ends.
                harness.Saturate(16, number => QueueHarness.Describe(IoOperation.Write, (number + (thread * 16)) * Block, Block));
                together.SignalAndWait();
                harness.Saturate(1, _ => QueueHarness.Describe(IoOperation.Flush));
            }, depth: 16)))];
            Array.ForEach(clients, client => client.Start());
            Array.ForEach(clients, client => client.Join());
        }

        string[] lines = File.ReadAllLines(log.Path);
        Assert.Equal(connections, lines.Select(line => WriteRequest().Match(line)).Where(match => match.Success)
            .Select(match => match.Groups[1].Value).Distinct().Count());
        Assert.Equal(threads, lines.Count(line => FlushRequest().IsMatch(line)));
    }

    [Fact]
    public void What_was_written_by_one_connection_is_read_by_another()
    {
        using NbdServer server = NbdServer.Nbdkit("memory", "64M");
        using NbdTarget target = Open(server.Uri(), 1, 4);
        QueueHarness.Run(target, harness =>
        {
            for (int tag = 0; tag < 13; tag++)
            {
                harness.BufferOf(tag).Span.Fill((byte)(tag + 1));
            }

            harness.Saturate(13, number => QueueHarness.Describe(IoOperation.Write, number * Block, Block));
            harness.Saturate(13, number => QueueHarness.Describe(IoOperation.Read, (12 - number) * Block, Block));
            for (int tag = 0; tag < 13; tag++)
            {
                Assert.Equal(-1, harness.BufferOf(tag).Span[..Block].IndexOfAnyExcept((byte)(13 - tag)));
            }
        }, depth: 13);
    }

    [Fact]
    public void A_flush_does_not_wait_for_a_write_in_flight_on_another_connection()
    {
        // The server answers the first write after the flush.
        using NbdServer server = NbdServer.Nbdkit("eval", "get_size=echo 1M", "can_write=exit 0", "can_flush=exit 0",
            "can_multi_conn=exit 0", "thread_model=echo parallel", "pread=head -c $3 /dev/zero", "flush=touch $tmpdir/flushed",
            "pwrite=cat > /dev/null; [ $4 != 0 ] || until [ -e $tmpdir/flushed ]; do sleep 0.01; done");
        using NbdTarget target = Open(server.Uri(), 1, 3);
        QueueHarness.Run(target, harness =>
        {
            IoTask<int> slow = harness.Start(0, QueueHarness.Describe(IoOperation.Write, 0, Block));
            Assert.Equal(Block, harness.AnswerOf(harness.Start(1, QueueHarness.Describe(IoOperation.Write, Block, Block))));
            Assert.False(slow.IsCompleted);
            Assert.Equal(0, harness.AnswerOf(harness.Start(2, QueueHarness.Describe(IoOperation.Flush))));
            Assert.Equal(Block, harness.AnswerOf(slow));
        }, depth: 3);
    }

    [Fact]
    public void A_server_that_does_not_support_several_is_refused_with_the_remedy()
    {
        using NbdServer server = NbdServer.Nbdkit("--filter=multi-conn", "memory", "1M", "multi-conn-mode=disable");
        Open(server.Uri(), 1, 1).Dispose();
        UblkException error = Assert.Throws<UblkException>(() => Open(server.Uri(), 1, 2));
        Assert.Equal(UblkError.NotSupported, error.Error);
        Assert.Contains("Omit ConnectionCount", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 1)]
    [InlineData(1, 257)]
    public void A_count_out_of_range_is_refused_before_the_server_is_asked(int threads, int connections) =>
        Assert.Equal(UblkError.InvalidArgument,
            Assert.Throws<UblkException>(() => Open("nbd+unix:///?socket=/nowhere", threads, connections)).Error);

    private static NbdTarget Open(string uri, int threads, int connections) =>
        NbdServer.OpenWith(uri, threads, readOnly: false, log: null, ("ConnectionCount", $"{connections}"));

    [GeneratedRegex(@"connection=(\d+) Write .*offset")]
    private static partial Regex WriteRequest();

    [GeneratedRegex(@"connection=\d+ Flush .*\.\.\.$")]
    private static partial Regex FlushRequest();
}
