namespace Ublk.Targets.Qcow2;

/// <summary>What an open image has done since it was opened. Counts are taken without a lock and may miss a few.</summary>
internal sealed class Qcow2Statistics
{
    /// <summary>Look-ups that found their L2 table in memory.</summary>
    public long CacheHits;

    /// <summary>L2 tables read from the image.</summary>
    public long CacheMisses;

    /// <summary>Clusters given to the disk.</summary>
    public long Allocations;

    /// <summary>Clusters whose former content was copied because a write covered only a part.</summary>
    public long CopiesOnWrite;

    /// <summary>Clusters taken from the disk.</summary>
    public long Frees;

    /// <summary>Compressed clusters read.</summary>
    public long Decompressions;

    /// <summary>Times that metadata was written back.</summary>
    public long MetadataFlushes;
}
