using Ublk.Counters;

namespace Ublk.Qcow2.State;

/// <summary>What the images of a chain were used for since they were opened.</summary>
internal sealed class Qcow2Statistics
{
    /// <summary>Look-ups that found their L2 table in memory.</summary>
    public TargetCounter CacheHits { get; } = new(nameof(CacheHits));

    /// <summary>L2 tables read from an image.</summary>
    public TargetCounter CacheMisses { get; } = new(nameof(CacheMisses));

    /// <summary>Clusters given to the disk.</summary>
    public TargetCounter Allocations { get; } = new(nameof(Allocations));

    /// <summary>Times that content was copied because a write covered only a part of what got a new place.</summary>
    public TargetCounter CopiesOnWrite { get; } = new(nameof(CopiesOnWrite));

    /// <summary>Clusters that became free.</summary>
    public TargetCounter Frees { get; } = new(nameof(Frees));

    /// <summary>Compressed clusters read.</summary>
    public TargetCounter Decompressions { get; } = new(nameof(Decompressions));

    /// <summary>Times that metadata was written back.</summary>
    public TargetCounter MetadataFlushes { get; } = new(nameof(MetadataFlushes));

    /// <summary>All of them.</summary>
    public IReadOnlyList<TargetCounter> All =>
        [CacheHits, CacheMisses, Allocations, CopiesOnWrite, Frees, Decompressions, MetadataFlushes];
}
