using Ublk.Qcow2.Format;
using Ublk.Qcow2.Metadata;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Data;

/// <summary>Finds where the disk's bytes are. Takes no lock and does no I/O.</summary>
internal sealed class ClusterMap(ImageState image, L2Cache tables)
{
    private readonly ClusterLayout _layout = image.Layout;
    private readonly int _version = image.Header.Version;
    private readonly bool _isPlain = !image.Layout.HasExtendedL2 && !image.Layout.HasDataFile;

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
                return tables.L1Of(l1Index).Offset != 0
                    ? new Extent(ExtentKind.NotCached, 0)
                    : new Extent(ExtentKind.Unallocated,
                        (int)long.Min(maxLength, _layout.L2Coverage - (offset & (_layout.L2Coverage - 1))));
            }

            int version = table.Version;
            if ((version & 1) == 0 && table.L1Index == l1Index)
            {
                Extent extent = FindIn(table, offset, maxLength);
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

    private Extent FindIn(L2Table table, long offset, int maxLength)
    {
        int index = _layout.L2Index(offset);
        int start = _layout.OffsetInCluster(offset);
        int subcluster = _layout.HasExtendedL2 ? start / _layout.SubclusterSize : 0;
        L2Entry entry = table.Read(index);
        ExtentKind kind = KindOf(entry, offset, subcluster);
        if (kind is ExtentKind.Compressed or ExtentKind.Invalid)
        {
            return new Extent(kind, int.Min(_layout.ClusterSize - start, maxLength), entry.Offset + start, entry);
        }

        // As many subclusters of this kind as follow each other; positions count from the first byte of the first cluster.
        L2Entry current = entry;
        long cluster = 0;
        long end;
        while (true)
        {
            subcluster += current.RunIn(_layout, subcluster);
            end = cluster + ((long)subcluster * _layout.SubclusterSize);
            if (subcluster < _layout.Subclusters || end - start >= maxLength || ++index == _layout.L2Entries)
            {
                break;
            }

            current = table.Read(index);
            subcluster = 0;
            cluster = end;
            if (KindOf(current, offset - start + cluster, 0) != kind || (IsData(kind) && current.Offset != entry.Offset + cluster))
            {
                break;
            }
        }

        return new Extent(kind, (int)long.Min(end - start, maxLength), entry.Offset + start, entry);
    }

    private ExtentKind KindOf(L2Entry entry, long offset, int subcluster)
    {
        // The most frequent entry by far.
        if (_isPlain && entry.IsPlainData(_layout))
        {
            return ExtentKind.Data;
        }

        return IsInvalid(entry, offset)
            ? ExtentKind.Invalid
            : entry.KindIn(_layout, subcluster) switch
            {
                ExtentKind.ZeroAllocated => ExtentKind.Zero,
                ExtentKind.Data when !IsWritableInPlace(entry) => ExtentKind.SharedData,
                ExtentKind kind => kind,
            };
    }

    private bool IsInvalid(L2Entry entry, long offset) =>
        entry.FindFault(_layout, _version) is not null
        || (image.HasDataFile
            && (entry.IsCompressed || (entry.HasHostOffset(_layout) && entry.Offset != _layout.ClusterStart(offset))));

    private static bool IsData(ExtentKind kind) => kind is ExtentKind.Data or ExtentKind.SharedData;
}

/// <summary>A part of the disk that is in one piece somewhere.</summary>
/// <param name="Kind">Where it is.</param>
/// <param name="Length">Bytes from the offset that was looked up.</param>
/// <param name="HostOffset">Where the first of them is in the data file, if it is there.</param>
/// <param name="Entry">The L2 entry of the first cluster.</param>
internal readonly record struct Extent(ExtentKind Kind, int Length, long HostOffset = 0, L2Entry Entry = default);
