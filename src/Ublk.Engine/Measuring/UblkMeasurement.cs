namespace Ublk.Measuring;

/// <summary>
/// What a device did between two looks at its counters. Times are those between a request's arrival at the worker and its answer.
/// </summary>
public sealed record UblkMeasurement
{
    /// <summary>The device.</summary>
    public required int Id { get; init; }

    /// <summary>The disk's node.</summary>
    public required string DevicePath { get; init; }

    /// <summary>When the second look was taken.</summary>
    public required DateTime Time { get; init; }

    /// <summary>Seconds between the two.</summary>
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

    /// <summary>Requests under way at the second look.</summary>
    public required long InFlight { get; init; }

    /// <summary>Half the reads took no longer, in microseconds; null where there were none.</summary>
    public double? ReadP50Micros => Quantile(ReadTimes, 0.5, ReadMaxMicros);

    /// <summary>99 of 100 reads took no longer, in microseconds.</summary>
    public double? ReadP99Micros => Quantile(ReadTimes, 0.99, ReadMaxMicros);

    /// <summary>999 of 1000 reads took no longer, in microseconds.</summary>
    public double? ReadP999Micros => Quantile(ReadTimes, 0.999, ReadMaxMicros);

    /// <summary>The longest read, in microseconds.</summary>
    public required double? ReadMaxMicros { get; init; }

    /// <summary>Half the writes took no longer, in microseconds; null where there were none.</summary>
    public double? WriteP50Micros => Quantile(WriteTimes, 0.5, WriteMaxMicros);

    /// <summary>99 of 100 writes took no longer, in microseconds.</summary>
    public double? WriteP99Micros => Quantile(WriteTimes, 0.99, WriteMaxMicros);

    /// <summary>999 of 1000 writes took no longer, in microseconds.</summary>
    public double? WriteP999Micros => Quantile(WriteTimes, 0.999, WriteMaxMicros);

    /// <summary>The longest write, in microseconds.</summary>
    public required double? WriteMaxMicros { get; init; }

    /// <summary>How long reads took, in microseconds.</summary>
    public required UblkHistogram ReadTimes { get; init; }

    /// <summary>How long writes took, in microseconds.</summary>
    public required UblkHistogram WriteTimes { get; init; }

    /// <summary>How large reads were, in bytes.</summary>
    public required UblkHistogram ReadSizes { get; init; }

    /// <summary>How large writes were, in bytes.</summary>
    public required UblkHistogram WriteSizes { get; init; }

    // The middle of the last step may lie beyond what there was.
    private static double? Quantile(UblkHistogram times, double share, double? longest) =>
        times.Quantile(share) is { } value ? Math.Min(value, longest ?? value) : null;
}
