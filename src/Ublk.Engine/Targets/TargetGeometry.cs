namespace Ublk.Targets;

/// <summary>Size, block sizes and limits of a disk.</summary>
public sealed record TargetGeometry
{
    /// <summary>Size in bytes; a multiple of <see cref="LogicalBlockSize"/>.</summary>
    public required long Size { get; init; }

    /// <summary>The smallest unit of a request in bytes, and the least the user may choose.</summary>
    public int LogicalBlockSize { get; init; } = 512;

    /// <summary>The unit the storage prefers, in bytes.</summary>
    public int PhysicalBlockSize { get; init; } = 4096;

    /// <summary>
    /// The alignment of buffer addresses that the storage requires, in bytes. Used with zero copy only, where the buffer belongs to the
    /// client.
    /// </summary>
    public int MemoryAlignment { get; init; } = 1;

    /// <summary>Whether the disk refuses writes.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Whether a completed write may be lost by a power cut before a flush; without it no flush is ever sent.</summary>
    public bool VolatileCache { get; init; }

    /// <summary>
    /// Whether the target makes a single write durable, where it has a volatile cache; otherwise the kernel sends a flush after such a
    /// write.
    /// </summary>
    public bool ForceUnitAccess { get; init; } = true;

    /// <summary>Whether the storage is rotational.</summary>
    public bool IsRotational { get; init; }

    /// <summary>The maximum request size in bytes, a multiple of 4096; a smaller one that the user chooses takes precedence.</summary>
    public int MaxIoSize { get; init; } = int.MaxValue;

    /// <summary>The unit of a discard in bytes; 0 where discards are not supported.</summary>
    public int DiscardGranularity { get; init; }

    /// <summary>Whether the target supports write zeroes; otherwise the kernel writes zeroes.</summary>
    public bool WriteZeroes { get; init; }
}
