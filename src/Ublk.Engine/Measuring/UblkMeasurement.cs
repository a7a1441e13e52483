namespace Ublk.Measuring;

/// <summary>
/// The activity of a device between two samples of its counters. Latency is the time from a request's arrival at the worker to its answer.
/// </summary>
public sealed record UblkMeasurement
{
    /// <summary>The device.</summary>
    public required int Id { get; init; }

    /// <summary>The disk's node.</summary>
    public required string DevicePath { get; init; }

    /// <summary>The time of the second sample.</summary>
    public required DateTime Time { get; init; }

    /// <summary>Seconds between the samples.</summary>
    public required double Seconds { get; init; }

    /// <summary>Reads a second.</summary>
    public required double ReadsPerSecond { get; init; }

    /// <summary>Writes a second.</summary>
    public required double WritesPerSecond { get; init; }

    /// <summary>Flushes a second.</summary>
    public required double FlushesPerSecond { get; init; }

    /// <summary>Discards, and writes of zeroes, a second.</summary>
    public required double DiscardsPerSecond { get; init; }

    /// <summary>Bytes read a second.</summary>
    public required double ReadBytesPerSecond { get; init; }

    /// <summary>Bytes written a second.</summary>
    public required double WriteBytesPerSecond { get; init; }

    /// <summary>Requests that failed.</summary>
    public required long Errors { get; init; }

    /// <summary>Requests in flight at the end.</summary>
    public required long InFlight { get; init; }

    /// <summary>Half the reads took no longer, in microseconds; null where there were none.</summary>
    public double? ReadP50Micros => Quantile(ReadLatencies, 0.5, ReadMaxMicros);

    /// <summary>99 of 100 reads took no longer, in microseconds.</summary>
    public double? ReadP99Micros => Quantile(ReadLatencies, 0.99, ReadMaxMicros);

    /// <summary>999 of 1000 reads took no longer, in microseconds.</summary>
    public double? ReadP999Micros => Quantile(ReadLatencies, 0.999, ReadMaxMicros);

    /// <summary>The longest read, in microseconds.</summary>
    public required double? ReadMaxMicros { get; init; }

    /// <summary>Half the writes took no longer, in microseconds; null where there were none.</summary>
    public double? WriteP50Micros => Quantile(WriteLatencies, 0.5, WriteMaxMicros);

    /// <summary>99 of 100 writes took no longer, in microseconds.</summary>
    public double? WriteP99Micros => Quantile(WriteLatencies, 0.99, WriteMaxMicros);

    /// <summary>999 of 1000 writes took no longer, in microseconds.</summary>
    public double? WriteP999Micros => Quantile(WriteLatencies, 0.999, WriteMaxMicros);

    /// <summary>The longest write, in microseconds.</summary>
    public required double? WriteMaxMicros { get; init; }

    /// <summary>Latencies of reads in microseconds.</summary>
    public required UblkHistogram ReadLatencies { get; init; }

    /// <summary>Latencies of writes in microseconds.</summary>
    public required UblkHistogram WriteLatencies { get; init; }

    /// <summary>Sizes of reads in bytes.</summary>
    public required UblkHistogram ReadSizes { get; init; }

    /// <summary>Sizes of writes in bytes.</summary>
    public required UblkHistogram WriteSizes { get; init; }

    // The middle of the last step may lie beyond what there was.
    private static double? Quantile(UblkHistogram latencies, double share, double? longest) =>
        latencies.Quantile(share) is { } value ? Math.Min(value, longest ?? value) : null;
}
