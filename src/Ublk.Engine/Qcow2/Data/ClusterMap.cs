using System.Numerics;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.Metadata;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Data;

/// <summary>Finds where the disk's bytes are. Takes no lock and does no I/O.</summary>
/// <param name="image">The image.</param>
/// <param name="tables">The tables that are in memory.</param>
internal sealed class ClusterMap(ImageState image, L2Cache tables)
{
    private readonly ClusterLayout _layout = image.Layout;
    private readonly int _version = image.Header.Version;

    /// <summary>Looks up a part of the disk.</summary>
    /// <param name="offset">Its first byte.</param>
    /// <param name="maxLength">Bytes, at least 1; the extent is cut off there.</param>
    public Extent Find(long offset, int maxLength)
    {
        int l1Index = _layout.L1Index(offset);
        SpinWait wait = default;
        while (true)
        {
            L2Table? table = tables.Find(l1Index);
            if (table is null)
            {
                return tables.L1[l1Index].Offset != 0
                    ? new Extent(ExtentKind.NotCached, 0)
                    : new Extent(ExtentKind.Unallocated,
                        (int)long.Min(maxLength, _layout.L2Coverage - (offset & (_layout.L2Coverage - 1))));
            }

            int version = table.Version;
            if ((version & 1) == 0 && table.L1Index == l1Index)
            {
                Extent extent = _layout.HasExtendedL2 ? FindSubclusters(table, offset, maxLength) : FindClusters(table, offset, maxLength);
                if (table.IsCurrent(version))
                {
                    table.IsReferenced = true;
                    image.Statistics.CacheHits.Add();
                    return extent;
                }
            }

            wait.SpinOnce();
        }
    }

    /// <summary>Whether the cluster's host offset is its own, so that it may be written in place.</summary>
    public bool IsWritableInPlace(L2Entry entry) => entry.HasHostOffset(_layout) && (entry.IsCopied || image.HasDataFile);

    private Extent FindClusters(L2Table table, long offset, int maxLength)
    {
        int index = _layout.L2Index(offset);
        int start = _layout.OffsetInCluster(offset);
        L2Entry entry = table.Read(index);
        ExtentKind kind = KindOf(entry, offset);
        long length = _layout.ClusterSize - start;
        while (length < maxLength && ++index < _layout.L2Entries && kind is not (ExtentKind.Compressed or ExtentKind.Invalid))
        {
            L2Entry next = table.Read(index);
            if (KindOf(next, offset + length) != kind || (IsData(kind) && next.Offset != entry.Offset + start + length))
            {
                break;
            }

            length += _layout.ClusterSize;
        }

        return new Extent(kind, (int)long.Min(length, maxLength), entry.Offset + start, entry);
    }

    private Extent FindSubclusters(L2Table table, long offset, int maxLength)
    {
        int index = _layout.L2Index(offset);
        int start = _layout.OffsetInCluster(offset);
        L2Entry entry = table.Read(index);
        int subcluster = start / _layout.SubclusterSize;
        ExtentKind kind = KindOf(entry, offset, subcluster);
        long length = 0;
        long position = start;
        L2Entry current = entry;
        while (kind is not (ExtentKind.Compressed or ExtentKind.Invalid))
        {
            // As many subclusters of this kind as follow in the cluster.
            int run = RunOf(current, kind, subcluster);
            length += ((long)(subcluster + run) * _layout.SubclusterSize) - position;
            if (subcluster + run < ClusterLayout.SubclustersPerCluster || length >= maxLength || ++index == _layout.L2Entries)
            {
                break;
            }

            current = table.Read(index);
            subcluster = 0;
            position = 0;
            if (KindOf(current, offset + length, 0) != kind || (IsData(kind) && current.Offset != entry.Offset + start + length))
            {
                break;
            }
        }

        length = length == 0 ? _layout.ClusterSize - start : length;
        return new Extent(kind, (int)long.Min(length, maxLength), entry.Offset + start, entry);
    }

    private ExtentKind KindOf(L2Entry entry, long offset)
    {
        if (entry.IsCompressed)
        {
            return CompressedKindOf(entry);
        }

        if (IsInvalid(entry, offset))
        {
            return ExtentKind.Invalid;
        }

        return entry.HasZeroBit ? ExtentKind.Zero : AllocatedKindOf(entry);
    }

    private ExtentKind KindOf(L2Entry entry, long offset, int subcluster)
    {
        if (entry.IsCompressed)
        {
            return CompressedKindOf(entry);
        }

        if (IsInvalid(entry, offset))
        {
            return ExtentKind.Invalid;
        }

        uint bit = 1u << subcluster;
        return (entry.ZeroSubclusters & bit) != 0 ? ExtentKind.Zero
            : (entry.AllocatedSubclusters & bit) != 0 ? AllocatedKindOf(entry)
            : ExtentKind.Unallocated;
    }

    private static int RunOf(L2Entry entry, ExtentKind kind, int subcluster)
    {
        uint same = kind switch
        {
            ExtentKind.Zero => entry.ZeroSubclusters,
            ExtentKind.Unallocated => ~(entry.ZeroSubclusters | entry.AllocatedSubclusters),
            _ => entry.AllocatedSubclusters,
        };
        return int.Min(BitOperations.TrailingZeroCount(~(ulong)(same >> subcluster)), ClusterLayout.SubclustersPerCluster - subcluster);
    }

    private ExtentKind CompressedKindOf(L2Entry entry) =>
        image.HasDataFile || entry.FindFault(_layout, _version) is not null ? ExtentKind.Invalid : ExtentKind.Compressed;

    private ExtentKind AllocatedKindOf(L2Entry entry) =>
        !entry.HasHostOffset(_layout) ? ExtentKind.Unallocated : IsWritableInPlace(entry) ? ExtentKind.Data : ExtentKind.SharedData;

    private bool IsInvalid(L2Entry entry, long offset) =>
        entry.FindFault(_layout, _version) is not null
        || (image.HasDataFile && entry.HasHostOffset(_layout) && entry.Offset != _layout.ClusterStart(offset));

    private static bool IsData(ExtentKind kind) => kind is ExtentKind.Data or ExtentKind.SharedData;
}
