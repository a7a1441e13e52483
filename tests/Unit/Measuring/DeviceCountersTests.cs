using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Counters;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Measuring;
using Ublk.Targets;
using Ublk.Targets.Null;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Measuring;

/// <summary>What a queue's thread counts is what a reader of the file sees.</summary>
public sealed class DeviceCountersTests : IDisposable
{
    private const ulong Cookie = 42;
    private const int Threads = 2;

    private readonly TemporaryFile _file = new(CounterMemory.LengthFor(Threads), "/dev/shm");
    private readonly SafeFileHandle _handle;
    private readonly CounterMemory _memory;
    private readonly TargetCounter _seen = new("Seen");
    private readonly TargetCounter _done = new("Done2");

    public DeviceCountersTests()
    {
        _handle = File.OpenHandle(_file.Path, FileMode.Open, FileAccess.ReadWrite);
        RandomAccess.Write(_handle, MemoryMarshal.AsBytes(new ReadOnlySpan<CounterHeader>([CounterHeader.Of(Cookie, Threads)])), 0);
        _memory = new CounterMemory(_handle, Threads, [_seen, _done]);
    }

    private DeviceCounters Now => new(7, File.ReadAllBytes(_file.Path));

    public void Dispose()
    {
        _memory.Dispose();
        _handle.Dispose();
        _file.Dispose();
    }

    [Fact]
    public void The_file_says_whose_it_is() => Assert.Equal(Cookie, CounterHeader.CookieOf(_file.Content));

    [Fact]
    public void Invalid_counters_have_no_owner()
    {
        Assert.Equal(0UL, CounterHeader.CookieOf([]));
        Assert.Equal(0UL, CounterHeader.CookieOf(new byte[CounterHeader.Room]));
    }

    [Fact]
    public void Requests_are_counted_by_operation_and_by_size()
    {
        DeviceCounters before = Now;
        Answer(0, IoOperation.Read, 4096, 4096);
        Answer(1, IoOperation.Read, 65536, 65536);
        Answer(1, IoOperation.Write, 4096, -Libc.EIO);
        Answer(0, IoOperation.Flush, 0, 0);
        Answer(0, IoOperation.WriteZeroes, 1 << 20, 0);

        DeviceCounters after = Now;
        UblkMeasurement measurement = after.Since(before);

        Assert.Equal(2, measurement.ReadsPerSecond * measurement.Seconds, 6);
        Assert.Equal(1, measurement.WritesPerSecond * measurement.Seconds, 6);
        Assert.Equal(1, measurement.FlushesPerSecond * measurement.Seconds, 6);
        Assert.Equal(1, measurement.DiscardsPerSecond * measurement.Seconds, 6);
        Assert.Equal(4096 + 65536, measurement.ReadBytesPerSecond * measurement.Seconds, 3);
        Assert.Equal(1, measurement.Errors);
        Assert.Equal(0, measurement.InFlight);
        Assert.Equal("4096:1 65536:1", measurement.ReadSizes.ToString());
        Assert.Equal(2, measurement.ReadLatencies.Count);
        Assert.True(measurement.ReadP50Micros <= measurement.ReadMaxMicros);
        Assert.Null(after.Since(after).ReadP99Micros);
    }

    [Fact]
    public void What_the_target_counts_is_seen_by_its_name_and_in_its_order()
    {
        Assert.Equal([new("Seen", 0), new("Done2", 0)], TargetCounterSlot.Read(_file.Content));
        _seen.Add();
        _done.Add(1L << 40);
        Assert.Equal([new("Seen", 1), new("Done2", 1L << 40)], TargetCounterSlot.Read(_file.Content));
    }

    [Fact]
    public void A_target_goes_on_counting_before_and_after_it_is_served()
    {
        TargetCounter counter = new("Opened");
        counter.Add(3);
        using (CounterMemory memory = new(null, 1, [counter]))
        {
            Assert.Equal(3, counter.Value);
            counter.Add();
        }

        counter.Add();
        Assert.Equal(5, counter.Value);
    }

    [Fact]
    public void A_target_may_count_more_than_there_is_room_for()
    {
        TargetCounter[] many = [.. Enumerable.Range(0, 100).Select(number => new TargetCounter($"{new string('n', 40)}{number}"))];
        using CounterMemory memory = new(_handle, Threads, many);
        many[^1].Add();
        Assert.Equal(many.Take(TargetCounterSlot.MaxCount).Select(counter => counter.Name), TargetCounterSlot.Read(_file.Content).Keys);
    }

    [Fact]
    public void What_is_no_name_is_not_shown()
    {
        byte[] forged = _file.Content;
        forged[64 + sizeof(long)] = 0x1B;
        Assert.Equal(["Done2"], TargetCounterSlot.Read(forged).Keys);
        Assert.Empty(TargetCounterSlot.Read(forged.AsSpan(0, 100)));
        Assert.All(["", "a b", "é", new string('n', 49)], name => Assert.Throws<ArgumentException>(() => new TargetCounter(name)));
    }

    [Fact]
    public void A_request_under_way_is_shown()
    {
        OnQueue((counters, request) =>
        {
            counters.BeginTurn();
            counters.Arrive(request);
        }, IoOperation.Read, 4096);
        Assert.Equal(1, Now.InFlight);
    }

    [Fact]
    public void Prometheus_gets_every_counter_with_its_type()
    {
        Answer(0, IoOperation.Write, 8192, 8192);
        string[] lines = [.. PrometheusText.Write([], [Now])];

        Assert.Contains("ublk_requests_total{device=\"ublkb7\",operation=\"write\"} 1", lines);
        Assert.Contains("ublk_request_bytes_total{device=\"ublkb7\",operation=\"write\"} 8192", lines);
        Assert.Contains("ublk_request_duration_seconds_bucket{device=\"ublkb7\",operation=\"write\",le=\"+Inf\"} 1", lines);
        Assert.Contains("ublk_request_duration_seconds_count{device=\"ublkb7\",operation=\"read\"} 0", lines);
        foreach (string metric in lines.Where(line => line[0] != '#').Select(line => line[..line.IndexOf('{', StringComparison.Ordinal)])
            .Distinct())
        {
            Assert.Contains(lines, line =>
                line.StartsWith("# TYPE ", StringComparison.Ordinal) && metric.StartsWith(line.Split(' ')[2], StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Counting_allocates_nothing() => OnQueue((counters, request) =>
    {
        Turn(counters, request);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int turn = 0; turn < 1000; turn++)
        {
            Turn(counters, request);
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }, IoOperation.Read, 4096);

    [Fact]
    public void Quantiles_are_those_of_the_values_to_an_eighth()
    {
        long[] byTime = new long[CounterBlock.Kinds * CounterBlock.Times];
        Random random = new(1);
        double[] micros = [.. Enumerable.Range(0, 10_000).Select(_ => Math.Exp(random.NextDouble() * 12))];
        foreach (double value in micros)
        {
            byTime[CounterBlock.Times + CounterBlock.TimeStep((long)(value * 1000))]++;
        }

        UblkHistogram times = DeviceCounters.Times(byTime, IoOperation.Write);

        double[] sorted = [.. micros.Order()];
        foreach (double share in new[] { 0.01, 0.5, 0.9, 0.99, 0.999 })
        {
            double exact = sorted[(int)Math.Ceiling(share * sorted.Length) - 1];
            Assert.InRange(times.Quantile(share)!.Value / exact, 0.93, 1.07);
        }
    }

    private void Answer(int thread, IoOperation operation, int length, int result) =>
        OnQueue((counters, request) => Turn(counters, request, result), operation, length, thread);

    private static void Turn(QueueCounters counters, IoRequest request, int result = 0)
    {
        counters.BeginTurn();
        counters.Arrive(request);
        counters.Answer(request, result);
        counters.EndTurn();
    }

    private void OnQueue(Action<QueueCounters, IoRequest> action, IoOperation operation, int length, int thread = 0)
    {
        using NullTarget target = new(1 << 30);
        QueueHarness.Run(target, harness => action(
            _memory.For(thread, 1), harness.Request(QueueHarness.Describe(operation, 0, length))), depth: 1, bufferSize: 1 << 20);
    }
}
