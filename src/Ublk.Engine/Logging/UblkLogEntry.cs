namespace Ublk.Logging;

/// <summary>A line that the worker of a device, or what stands above it, wrote to the log.</summary>
public sealed record UblkLogEntry
{
    /// <summary>When.</summary>
    public required DateTime Time { get; init; }

    /// <summary>The device.</summary>
    public required int Id { get; init; }

    /// <summary>The severity; null where the log has none.</summary>
    public LogLevel? Level { get; init; }

    /// <summary>The process that wrote it.</summary>
    public required int ProcessId { get; init; }

    /// <summary>The line.</summary>
    public required string Message { get; init; }
}
