using Ublk.Specification;

namespace Ublk.Hosting;

/// <summary>Options of a device that a program serves itself.</summary>
public sealed record BlockDeviceOptions
{
    /// <summary>The device's id, or null for the lowest that is free.</summary>
    public int? Id { get; init; }

    /// <summary>Hardware queues, each with its own thread; 1 by default. With several, the target answers from several threads.</summary>
    public int QueueCount { get; init; } = 1;

    /// <summary>Requests in flight per queue, from 1 to 4096; 128 by default.</summary>
    public int QueueDepth { get; init; } = 128;

    /// <summary>The maximum request size in bytes: a multiple of 4096, at most 32 MiB; 512 KiB by default.</summary>
    public int MaxIoSize { get; init; } = 512 << 10;

    /// <summary>How the requests' data gets to the target and back.</summary>
    public BufferMode BufferMode { get; init; }

    /// <summary>Whether the disk refuses writes, even if the target supports them.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Whether the kernel leaves the partition table unread; it can from 7.0 on.</summary>
    public bool NoPartitionScan { get; init; }

    /// <summary>
    /// The folder of worker programs, one of which starts and removes the device; by default <c>ublk</c> beside the program.
    /// </summary>
    public string WorkerDirectory { get; init; } = Path.Combine(AppContext.BaseDirectory, "ublk");
}
