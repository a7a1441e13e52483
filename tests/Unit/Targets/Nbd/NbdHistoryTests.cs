using System.Buffers.Binary;
using System.Globalization;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets.Nbd;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Targets.Nbd;

/// <summary>
/// Under connections that are lost at random instants, no write is lost, done twice, or done late over a newer one. UBLK_ROUNDS tells how
/// many histories to try (30 by default), UBLK_SEED the first one's seed.
/// </summary>
public class NbdHistoryTests(ITestOutputHelper output)
{
    private const int Blocks = 48;
    private const int Depth = 12;
    private const int Requests = 400;
    private const int Losses = 4;

    [Theory]
    [InlineData(int.MaxValue)]
    [InlineData(LateServer.Block)]
    public void Each_block_is_a_register_whatever_is_lost(int slotsFrom)
    {
        int count = Number("UBLK_ROUNDS", 30);
        int first = Number("UBLK_SEED", 0);
        long losses = 0;
        long failures = 0;
        for (int seed = first; seed < first + count; seed++)
        {
            Run run = new(seed, slotsFrom);
            run.Play();
            Assert.True(run.FindFault() is null, $"Seed {seed}: {run.FindFault()}. Replay it with UBLK_ROUNDS=1 UBLK_SEED={seed}.");
            losses += run.Losses;
            failures += run.Failures;
        }

        output.WriteLine($"{count} histories, {losses} lost connections, {failures} writes that failed");
        Assert.True(losses >= count);
    }

    [Fact]
    public void A_history_that_no_block_may_have_is_found()
    {
        RegisterHistory fine = new();
        fine.AddWrite(1, 0, 10, true);
        fine.AddWrite(2, 5, 20, false);
        fine.AddRead(1, 11, 12);
        fine.AddRead(2, 13, 14);
        Assert.Null(fine.FindFault());
        fine.AddRead(1, 15, 16);
        Assert.NotNull(fine.FindFault());

        RegisterHistory lost = new();
        lost.AddWrite(1, 0, 10, true);
        lost.AddRead(0, 11, 12);
        Assert.NotNull(lost.FindFault());

        RegisterHistory stray = new();
        stray.AddRead(7, 1, 2);
        Assert.NotNull(stray.FindFault());

        RegisterHistory late = new();
        late.AddWrite(1, 0, 10, false);
        late.AddRead(1, 11, 12);
        Assert.Null(late.FindFault());
        late.AddWrite(2, 20, 30, true);
        late.AddRead(2, 31, 32);
        Assert.Null(late.FindFault());
        late.AddRead(1, 40, 41);
        Assert.NotNull(late.FindFault());

        RegisterHistory twice = new();
        twice.AddWrite(1, 0, 10, true);
        twice.AddWrite(2, 20, 30, true);
        twice.AddRead(1, 40, 41);
        Assert.NotNull(twice.FindFault());
    }

    private static int Number(string name, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), CultureInfo.InvariantCulture, out int number) ? number : otherwise;

    /// <summary>One disk, one client, and what the client saw.</summary>
    private sealed class Run(int seed, int slotsFrom)
    {
        private readonly Random _random = new(seed);
        private readonly RegisterHistory[] _blocks = [.. Enumerable.Range(0, Blocks).Select(_ => new RegisterHistory())];
        private readonly (IoTask<int> Answer, bool IsWrite, int Block, ulong Value, long Start)?[] _busy =
            new (IoTask<int> Answer, bool IsWrite, int Block, ulong Value, long Start)?[Depth];

        private long _clock;
        private ulong _value;

        public long Losses { get; private set; }

        public int Failures { get; private set; }

        public string? FindFault() => _blocks.Select(block => block.FindFault()).FirstOrDefault(fault => fault is not null);

        public void Play()
        {
            using LateServer server = new(seed, Blocks, NbdHistoryTests.Losses);
            using NbdTarget target = NbdServer.OpenWith(server.Uri, 1, readOnly: false, log: null, ("ReconnectTimeout", "30"));
            QueueHarness.Run(target, harness =>
            {
                Answer(harness, Requests, () => (_random.Next(2) == 0, _random.Next(Blocks)));
                server.Settle();
                int next = 0;
                Answer(harness, Blocks, () => (false, next++));
            }, Depth, slotsFrom: slotsFrom);
            Losses = target.Counters[0].Value;
        }

        private void Answer(QueueHarness harness, int count, Func<(bool IsWrite, int Block)> next)
        {
            int started = 0;
            for (int answered = 0; answered < count;)
            {
                for (int tag = 0; tag < Depth; tag++)
                {
                    if (_busy[tag] is { Answer.IsCompleted: true })
                    {
                        End(harness, tag);
                        answered++;
                    }

                    if (_busy[tag] is null && started < count)
                    {
                        Begin(harness, tag, next());
                        started++;
                    }
                }

                if (answered < count && !_busy.Any(request => request is { Answer.IsCompleted: true }))
                {
                    harness.Turn();
                }
            }
        }

        private void Begin(QueueHarness harness, int tag, (bool IsWrite, int Block) request)
        {
            ulong value = request.IsWrite ? ++_value : 0;
            BinaryPrimitives.WriteUInt64LittleEndian(harness.BufferOf(tag).Span, value);
            long start = _clock++;
            _busy[tag] = (harness.Start(tag, QueueHarness.Describe(
                request.IsWrite ? IoOperation.Write : IoOperation.Read, request.Block * LateServer.Block, LateServer.Block)),
                request.IsWrite, request.Block, value, start);
        }

        private void End(QueueHarness harness, int tag)
        {
            (IoTask<int> answer, bool isWrite, int block, ulong value, long start) = _busy[tag]!.Value;
            _busy[tag] = null;
            int result = answer.GetAwaiter().GetResult();
            long end = _clock++;
            if (!isWrite)
            {
                Assert.Equal(LateServer.Block, result);
                _blocks[block].AddRead(BinaryPrimitives.ReadUInt64LittleEndian(harness.BufferOf(tag).Span), start, end);
            }
            else if (result != -Libc.EIO)
            {
                // One that is refused was not sent, so that its value must not be seen.
                Assert.Contains(result, new[] { LateServer.Block, -Libc.ENOLINK });
                Failures += result < 0 ? 1 : 0;
                _blocks[block].AddWrite(value, start, end, result > 0);
            }
        }
    }
}
