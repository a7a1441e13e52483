using System.Diagnostics;
using System.Runtime.InteropServices;
using Ublk.Control;
using Ublk.Counters;
using Ublk.Devices;
using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Measuring;

/// <summary>A sample of a device's counters. Reading them does not involve the worker.</summary>
public sealed unsafe class DeviceCounters
{
    private const double NanosecondsPerMicrosecond = 1000;

    private readonly CounterHeader _header;
    private readonly long _timestamp = Stopwatch.GetTimestamp();
    private readonly DateTime _time = DateTime.Now;

    internal DeviceCounters(int id, ReadOnlySpan<byte> memory)
    {
        Id = id;
        _header = MemoryMarshal.Read<CounterHeader>(memory);
        foreach (CounterBlock block in MemoryMarshal.Cast<byte, CounterBlock>(memory[CounterHeader.Room..]))
        {
            InFlight += block.InFlight;
            Add(Requests, block.Requests);
            Add(Errors, block.Errors);
            Add(Bytes, block.Bytes);
            Add(ByTime, block.ByTime);
            Add(BySize, block.BySize);
            for (int kind = 0; kind < Longest.Length; kind++)
            {
                Longest[kind] = Math.Max(Longest[kind], block.Longest[kind]);
            }
        }
    }

    /// <summary>The device.</summary>
    public int Id { get; }

    internal long InFlight { get; }

    internal long[] Requests { get; } = new long[CounterBlock.Operations];

    internal long[] Errors { get; } = new long[CounterBlock.Operations];

    internal long[] Bytes { get; } = new long[CounterBlock.Operations];

    internal long[] Longest { get; } = new long[CounterBlock.Kinds];

    internal long[] ByTime { get; } = new long[CounterBlock.Kinds * CounterBlock.Times];

    internal long[] BySize { get; } = new long[2 * CounterBlock.Sizes];

    /// <summary>Looks at a device.</summary>
    /// <exception cref="UblkException">There is no such device, the caller lacks the right to read it, or it has no counters.</exception>
    public static DeviceCounters Read(int id)
    {
        using ControlDevice control = new();
        UblkDeviceInfo info = control.GetInfo(id);
        return StateDirectory.TryReadCounters(info) is { } memory && IsWhole(memory)
            ? new DeviceCounters(id, memory)
            : throw new UblkException(UblkError.DeviceForeign,
                $"Device {id} has no counters: another server, or a worker of an older version, serves it. "
                    + $"Replace the worker: Update-UblkDevice {id}", deviceId: id);
    }

    /// <summary>Whether a device has counters: those of other servers have none.</summary>
    internal static bool AreKeptFor(UblkDevice device) => device is { State: DeviceState.Live, Target: not null };

    /// <summary>Looks at a device; null where it has no counters, is gone by now, or the caller lacks the right to read them.</summary>
    internal static DeviceCounters? TryRead(UblkDevice device)
    {
        if (!AreKeptFor(device))
        {
            return null;
        }

        try
        {
            return Read(device.Id);
        }
        catch (UblkException)
        {
            return null;
        }
    }

    /// <summary>What the device did since an earlier look, or since its worker was replaced.</summary>
    public UblkMeasurement Since(DeviceCounters earlier)
    {
        bool isSame = earlier._header.ProcessId == _header.ProcessId;
        double seconds = Stopwatch.GetElapsedTime(earlier._timestamp, _timestamp).TotalSeconds;
        long[] requests = Grown(counters => counters.Requests);
        long[] bytes = Grown(counters => counters.Bytes);
        long[] times = Grown(counters => counters.ByTime);
        long[] sizes = Grown(counters => counters.BySize);
        UblkHistogram readTimes = Times(times, IoOperation.Read);
        UblkHistogram writeTimes = Times(times, IoOperation.Write);
        return new UblkMeasurement
        {
            Id = Id,
            DevicePath = $"/dev/ublkb{Id}",
            Time = _time,
            Seconds = seconds,
            ReadsPerSecond = requests[(int)IoOperation.Read] / seconds,
            WritesPerSecond = requests[(int)IoOperation.Write] / seconds,
            FlushesPerSecond = requests[(int)IoOperation.Flush] / seconds,
            DiscardsPerSecond = (requests[(int)IoOperation.Discard] + requests[(int)IoOperation.WriteZeroes]) / seconds,
            ReadBytesPerSecond = bytes[(int)IoOperation.Read] / seconds,
            WriteBytesPerSecond = bytes[(int)IoOperation.Write] / seconds,
            Errors = Grown(counters => counters.Errors).Sum(),
            InFlight = InFlight,
            ReadLatencies = readTimes,
            WriteLatencies = writeTimes,
            ReadMaxMicros = LongestOf(readTimes, IoOperation.Read),
            WriteMaxMicros = LongestOf(writeTimes, IoOperation.Write),
            ReadSizes = Sizes(sizes, IoOperation.Read),
            WriteSizes = Sizes(sizes, IoOperation.Write),
        };

        long[] Grown(Func<DeviceCounters, long[]> select) => isSame
            ? [.. select(this).Zip(select(earlier), (now, then) => now - then)]
            : select(this);
    }

    /// <summary>The times of an operation's kind, in microseconds.</summary>
    internal static UblkHistogram Times(long[] byTime, IoOperation operation) =>
        Histogram(byTime, CounterBlock.KindOf(operation), CounterBlock.Times,
            step => CounterBlock.LeastTime(step) / NanosecondsPerMicrosecond,
            step => CounterBlock.LeastTime(step + 1) / NanosecondsPerMicrosecond);

    /// <summary>The sizes of reads or of writes, in bytes.</summary>
    internal static UblkHistogram Sizes(long[] bySize, IoOperation operation) =>
        Histogram(bySize, CounterBlock.KindOf(operation), CounterBlock.Sizes,
            step => step == 0 ? 0 : CounterBlock.GreatestSize(step - 1) + 1, step => CounterBlock.GreatestSize(step));

    private static UblkHistogram Histogram(long[] counts, int part, int length, Func<int, double> least, Func<int, double> greatest) =>
        new(
        [
            .. counts.AsSpan(part * length, length).ToArray()
                .Select((count, step) => new UblkHistogramStep(least(step), greatest(step), count))
                .Where(step => step.Count > 0),
        ]);

    private static bool IsWhole(byte[] memory) =>
        MemoryMarshal.TryRead(memory, out CounterHeader header) && header.Threads > 0
            && memory.Length == CounterMemory.LengthFor((int)header.Threads);

    private static void Add(long[] sums, long* values)
    {
        for (int index = 0; index < sums.Length; index++)
        {
            sums[index] += values[index];
        }
    }

    // The maximum may be older than the earlier sample; then the bucket bounds the maximum since.
    private double? LongestOf(UblkHistogram times, IoOperation operation) => times.Steps.Count > 0
        ? Math.Min(times.Steps[^1].Greatest, Longest[CounterBlock.KindOf(operation)] / NanosecondsPerMicrosecond)
        : null;
}
