using System.Numerics;
using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.Data;

/// <summary>The part of the disk that a write to a new place fills: its data, and what must be copied before and after it.</summary>
/// <param name="Start">The first byte, where a cluster or subcluster begins.</param>
/// <param name="End">The byte after the last.</param>
/// <param name="IsInPlace">Whether the place is the one the cluster had, with what is in it.</param>
internal readonly record struct CopyOnWritePlan(long Start, long End, bool IsInPlace)
{
    /// <summary>Plans a write.</summary>
    /// <param name="layout">The image's layout.</param>
    /// <param name="offset">The first byte of the data on the disk.</param>
    /// <param name="length">Bytes of data; more than a cluster's only where the others have nothing to be copied.</param>
    /// <param name="entry">What the first cluster has so far.</param>
    /// <param name="isInPlace">Whether it keeps its place; the data is within one cluster then.</param>
    public static CopyOnWritePlan For(ClusterLayout layout, long offset, int length, L2Entry entry, bool isInPlace)
    {
        int unit = layout.SubclusterSize;
        long start = offset / unit * unit;
        long end = (offset + length + unit - 1) / unit * unit;
        if (!layout.HasExtendedL2)
        {
            return new CopyOnWritePlan(start, end, isInPlace);
        }

        long cluster = layout.ClusterStart(offset);
        if (isInPlace)
        {
            // The last subcluster may have its data already; the first, where the caller noticed, has not.
            int last = layout.OffsetInCluster(offset + length - 1) / unit;
            bool isThere = (entry.AllocatedSubclusters & (1u << last)) != 0;
            return new CopyOnWritePlan(start, isThere ? offset + length : end, true);
        }

        if (entry.IsCompressed)
        {
            start = cluster;
            end = long.Max(end, cluster + layout.ClusterSize);
        }
        else if (entry.AllocatedSubclusters != 0)
        {
            start = long.Min(start, cluster + ((long)BitOperations.TrailingZeroCount(entry.AllocatedSubclusters) * unit));
            end = long.Max(end, cluster + ((32L - BitOperations.LeadingZeroCount(entry.AllocatedSubclusters)) * unit));
        }

        return new CopyOnWritePlan(start, end, false);
    }

    /// <summary>The subclusters of a cluster of the disk once the write is done, from those it had; 0 where entries have none.</summary>
    public ulong SubclustersOf(ClusterLayout layout, long cluster, L2Entry old)
    {
        if (!layout.HasExtendedL2)
        {
            return 0;
        }

        long origin = cluster << layout.ClusterBits;
        uint filled = layout.SubclustersOf(Start - origin, End - origin);
        uint allocated = IsInPlace ? old.AllocatedSubclusters | filled : filled;
        return ((ulong)(old.ZeroSubclusters & ~allocated) << 32) | allocated;
    }
}
