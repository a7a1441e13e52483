namespace Ublk.Qcow2.Format;

/// <summary>What follows from an image's cluster size, width of reference counts and kind of L2 entries.</summary>
/// <param name="ClusterBits">Binary logarithm of the cluster size in bytes, 9 to 21.</param>
/// <param name="RefcountOrder">Binary logarithm of the width of a reference count in bits, 0 to 6.</param>
/// <param name="HasExtendedL2">Whether L2 entries describe subclusters.</param>
/// <param name="HasDataFile">Whether the disk's data is in an external data file, so that host offset 0 is a place for data.</param>
internal readonly record struct ClusterLayout(int ClusterBits, int RefcountOrder, bool HasExtendedL2, bool HasDataFile = false)
{
    /// <summary>The least cluster has 512 bytes.</summary>
    public const int MinClusterBits = 9;

    /// <summary>The greatest cluster has 2 MiB, a limit of qemu's and ours.</summary>
    public const int MaxClusterBits = 21;

    /// <summary>Subclusters in a cluster with extended L2 entries.</summary>
    public const int SubclustersPerCluster = 32;

    /// <summary>Bytes in a cluster.</summary>
    public int ClusterSize => 1 << ClusterBits;

    /// <summary>Subclusters in a cluster; the cluster itself is one where L2 entries are not extended.</summary>
    public int Subclusters => HasExtendedL2 ? SubclustersPerCluster : 1;

    /// <summary>Bytes in the unit that can be allocated within a cluster: a subcluster, or the cluster itself.</summary>
    public int SubclusterSize => HasExtendedL2 ? ClusterSize / SubclustersPerCluster : ClusterSize;

    /// <summary>Binary logarithm of the number of entries in an L2 table.</summary>
    public int L2Bits => ClusterBits - (HasExtendedL2 ? 4 : 3);

    /// <summary>Entries in an L2 table.</summary>
    public int L2Entries => 1 << L2Bits;

    /// <summary>Bytes of the disk that one L2 table describes.</summary>
    public long L2Coverage => 1L << (ClusterBits + L2Bits);

    /// <summary>The greatest reference count there can be.</summary>
    public ulong MaxRefcount => RefcountOrder == 6 ? ulong.MaxValue : (1UL << (1 << RefcountOrder)) - 1;

    /// <summary>Binary logarithm of the number of counts in a refcount block.</summary>
    public int RefcountBlockBits => ClusterBits + 3 - RefcountOrder;

    /// <summary>Reference counts in a refcount block.</summary>
    public int RefcountBlockEntries => 1 << RefcountBlockBits;

    /// <summary>Entries of the refcount table in one of its clusters.</summary>
    public int RefcountTableEntriesPerCluster => ClusterSize / 8;

    /// <summary>The L1 entry for a byte of the disk; checks nothing.</summary>
    public int L1Index(long offset) => (int)(offset >> (ClusterBits + L2Bits));

    /// <summary>The entry in its L2 table for a byte of the disk.</summary>
    public int L2Index(long offset) => (int)(offset >> ClusterBits) & (L2Entries - 1);

    /// <summary>A byte's place in its cluster.</summary>
    public int OffsetInCluster(long offset) => (int)(offset & (ClusterSize - 1));

    /// <summary>The first byte of a byte's cluster.</summary>
    public long ClusterStart(long offset) => offset & ~(long)(ClusterSize - 1);

    /// <summary>Whether an offset is where a cluster begins.</summary>
    public bool IsAligned(long offset) => OffsetInCluster(offset) == 0;

    /// <summary>The subclusters of a cluster that a range touches, a bit for each.</summary>
    /// <param name="from">The range's first byte, counted from the cluster's beginning.</param>
    /// <param name="to">The byte after its last.</param>
    public uint SubclustersOf(long from, long to)
    {
        int first = (int)(long.Max(from, 0) / SubclusterSize);
        int end = (int)((long.Min(to, ClusterSize) + SubclusterSize - 1) / SubclusterSize);
        return (uint)(((1UL << end) - 1) & ~((1UL << first) - 1));
    }

    /// <summary>The clusters needed for a number of bytes.</summary>
    public long ClustersFor(long bytes) => (bytes >> ClusterBits) + (OffsetInCluster(bytes) == 0 ? 0 : 1);

    /// <summary>The clusters of the file that bytes of it are in.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">Bytes, at least 1.</param>
    /// <returns>The number of the first cluster, and how many there are.</returns>
    public (long First, long Count) ClustersOf(long offset, long length)
    {
        long first = offset >> ClusterBits;
        return (first, ((offset + length - 1) >> ClusterBits) - first + 1);
    }

    /// <summary>The L1 entries needed for a disk.</summary>
    public long L1EntriesFor(long diskSize) => (diskSize / L2Coverage) + (diskSize % L2Coverage == 0 ? 0 : 1);
}
