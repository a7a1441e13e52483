using Ublk.Files;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Compression;
using Ublk.Qcow2.Format;

namespace Ublk.Images.Content;

/// <summary>A qcow2 image: the disk as its active tables have it, or as a snapshot's do.</summary>
/// <param name="image">The image.</param>
/// <param name="snapshot">The snapshot, or null.</param>
/// <param name="dataFile">The external data file, or null.</param>
internal sealed class Qcow2Content(Qcow2File image, Snapshot? snapshot, DiskFile? dataFile) : ImageContent(image.File)
{
    private readonly ClusterLayout _layout = image.Layout;

    /// <inheritdoc/>
    public override ImageFormat Format => ImageFormat.Qcow2;

    /// <inheritdoc/>
    public override long Size { get; } = snapshot?.DiskSize ?? image.Header.Size;

    /// <inheritdoc/>
    public override DiskFile DataFile => dataFile ?? File;

    /// <inheritdoc/>
    public override void RequireReadable()
    {
        HeaderRules.RefuseEncryption(image.Header, File.Path);
        base.RequireReadable();
    }

    /// <inheritdoc/>
    protected override int ClusterSize => _layout.ClusterSize;

    /// <inheritdoc/>
    protected override IEnumerable<ContentExtent> OwnExtents(long start, long end)
    {
        L1Entry[] l1 = image.ReadL1(snapshot);
        for (long tableStart = start / _layout.L2Coverage * _layout.L2Coverage; tableStart < end; tableStart += _layout.L2Coverage)
        {
            int index = _layout.L1Index(tableStart);
            long table = index < l1.Length ? l1[index].Offset : 0;
            if (!_layout.IsAligned(table))
            {
                throw ImageError.Invalid(File.Path,
                    $"the L2 table for byte {tableStart} of the disk has the invalid host offset {table}");
            }

            IEnumerable<ContentExtent> extents = table == 0
                ? [new ContentExtent(tableStart, _layout.L2Coverage, ExtentKind.Unallocated)]
                : TableExtents(image.ReadL2(table), tableStart, start, end);
            foreach (ContentExtent extent in extents)
            {
                if (extent.Clip(start, end) is { Length: > 0 } inside)
                {
                    yield return inside;
                }
            }
        }
    }

    /// <inheritdoc/>
    protected override void Decompress(ReadOnlySpan<byte> compressed, Span<byte> cluster)
    {
        if (!ClusterCodec.Of(image.Header.Compression).TryDecompress(compressed, cluster))
        {
            throw ImageError.Invalid(File.Path, "a compressed cluster cannot be decompressed");
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        dataFile?.Dispose();
        base.Dispose(disposing);
    }

    private IEnumerable<ContentExtent> TableExtents(L2Words table, long tableStart, long start, long end)
    {
        int first = start > tableStart ? _layout.L2Index(start) : 0;
        for (int index = first; index < _layout.L2Entries; index++)
        {
            long position = tableStart + ((long)index << _layout.ClusterBits);
            if (position >= end)
            {
                yield break;
            }

            L2Entry entry = table[index];
            if (!entry.IsCompressed && entry.FindFault(_layout, image.Header.Version) is { } fault)
            {
                throw ImageError.Invalid(File.Path, $"the L2 entry for byte {position} of the disk {fault}");
            }

            for (int sub = 0, run; sub < _layout.Subclusters; sub += run)
            {
                run = entry.RunIn(_layout, sub);
                yield return ExtentOf(entry, position, sub, run);
            }
        }
    }

    private ContentExtent ExtentOf(L2Entry entry, long cluster, int subcluster, int count)
    {
        long start = (long)subcluster * _layout.SubclusterSize;
        long length = (long)count * _layout.SubclusterSize;
        ExtentKind kind = entry.KindIn(_layout, subcluster);
        return kind == ExtentKind.Compressed
            ? new ContentExtent(cluster, length, kind, entry.CompressedOffset(_layout))
            {
                CompressedLength = entry.CompressedLength(_layout),
            }
            : new ContentExtent(cluster + start, length, kind, entry.Offset + start);
    }
}
