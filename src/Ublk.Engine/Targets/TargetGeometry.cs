namespace Ublk.Targets;

/// <summary>What a disk is like.</summary>
public sealed record TargetGeometry
{
    /// <summary>Size in bytes; a multiple of <see cref="LogicalBlockSize"/>.</summary>
    public required long Size { get; init; }

    /// <summary>The smallest unit of a request in bytes, and the least the user may choose.</summary>
    public int LogicalBlockSize { get; init; } = 512;

    /// <summary>The unit the storage prefers, in bytes.</summary>
    public int PhysicalBlockSize { get; init; } = 4096;

    /// <summary>
    /// What the storage wants a buffer's address to be a multiple of, in bytes. It matters without a copy: the buffer is then
    /// the client's.
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

    /// <summary>Whether the storage turns, so that it pays to keep requests in order.</summary>
    public bool IsRotational { get; init; }

    /// <summary>The greatest request that the target takes, in bytes, a multiple of 4096; the user's choice where it is smaller.</summary>
    public int MaxIoSize { get; init; } = int.MaxValue;

    /// <summary>The unit of a discard in bytes; 0 where discards are not supported.</summary>
    public int DiscardGranularity { get; init; }

    /// <summary>Whether the target zeroes ranges by itself; otherwise the kernel writes zeroes.</summary>
    public bool WriteZeroes { get; init; }
}
