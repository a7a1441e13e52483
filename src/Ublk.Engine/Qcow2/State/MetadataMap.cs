namespace Ublk.Qcow2.State;

/// <summary>Which clusters of the image file hold metadata, so that no data is ever written over it. Reading takes no lock.</summary>
/// <param name="clusterBits">Binary logarithm of the cluster size.</param>
internal sealed class MetadataMap(int clusterBits)
{
    // Clusters in a page of the map; a page without metadata is not there.
    private const int PageBits = 15;

    private readonly Lock _lock = new();
    private ulong[]?[] _pages = [];

    /// <summary>Notes clusters.</summary>
    /// <returns>False if one was noted already; all are noted then.</returns>
    public bool Add(HostRange range) => Set(range, isMetadata: true);

    /// <summary>Forgets clusters.</summary>
    public void Remove(HostRange range) => Set(range, isMetadata: false);

    /// <summary>Whether a range of bytes touches metadata.</summary>
    public bool Overlaps(long offset, long length)
    {
        ulong[]?[] pages = Volatile.Read(ref _pages);
        long last = (offset + length - 1) >> clusterBits;
        for (long cluster = offset >> clusterBits; cluster <= last; cluster++)
        {
            long page = cluster >> PageBits;
            if (page >= pages.Length)
            {
                return false;
            }

            if (pages[page] is not { } words)
            {
                cluster |= (1 << PageBits) - 1;
            }
            else if ((Volatile.Read(ref words[WordOf(cluster)]) & (1UL << (int)(cluster & 63))) != 0)
            {
                return true;
            }
        }

        return false;
    }

    // Returns whether none of the clusters was noted before.
    private bool Set(HostRange range, bool isMetadata)
    {
        bool isNew = true;
        lock (_lock)
        {
            long first = range.Offset >> clusterBits;
            for (long cluster = first; cluster < first + range.Count; cluster++)
            {
                ulong bit = 1UL << (int)(cluster & 63);
                ref ulong word = ref PageOf(cluster)[WordOf(cluster)];
                isNew &= (word & bit) == 0;
                Volatile.Write(ref word, isMetadata ? word | bit : word & ~bit);
            }
        }

        return isNew;
    }

    private static int WordOf(long cluster) => (int)(cluster & ((1 << PageBits) - 1)) >> 6;

    private ulong[] PageOf(long cluster)
    {
        int page = checked((int)(cluster >> PageBits));
        if (page >= _pages.Length)
        {
            ulong[]?[] pages = new ulong[]?[page + 1 + (page / 4)];
            _pages.CopyTo(pages, 0);
            Volatile.Write(ref _pages, pages);
        }

        return _pages[page] ??= new ulong[1 << (PageBits - 6)];
    }
}
