using Ublk.Files;
using Ublk.Images.Content;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;

namespace Ublk.Images;

/// <summary>Computes the space that a copy of an image, or a new image, needs. Nothing is written.</summary>
/// <remarks><see cref="ImageOperation.Path"/> is the source, or empty for a new image of <see cref="Size"/> bytes.</remarks>
public sealed record MeasureImage : ImageOperation
{
    /// <summary>The format of the source; null to detect it.</summary>
    public ImageFormat? SourceFormat { get; init; }

    /// <summary>The format of backing files where a header does not name it; null to refuse those.</summary>
    public ImageFormat? BackingFormat { get; init; }

    /// <summary>The size in bytes of a new image without data; null to measure a copy of the source.</summary>
    public long? Size { get; init; }

    /// <summary>The options of the new image.</summary>
    public required NewImageOptions Options { get; init; }

    /// <inheritdoc/>
    internal override ImageResult Run(ImageProgress progress)
    {
        using ImageContent? source =
            Size is null ? ImageChain.Open(Path, SourceFormat, BackingFormat, DiskFile.OpenForReading) : null;
        long size = Size ?? source!.Size;
        progress.Begin($"Measuring {Path}", size);
        if (Options.Format == ImageFormat.Raw)
        {
            return Describe(Data(source, 1).Sum(run => run.End - run.Start), size);
        }

        ImageHeader header = NewImageHeader.Make(Options, size, Path);
        ClusterLayout layout = header.Layout;
        long clusters = 0;
        HashSet<int> tables = [];
        foreach ((long start, long end) in Data(source, layout.ClusterSize))
        {
            progress.Stop.ThrowIfCancellationRequested();
            clusters += (end - start) / layout.ClusterSize;
            for (int table = layout.L1Index(start); table <= layout.L1Index(end - 1); table++)
            {
                tables.Add(table);
            }
        }

        return Describe(
            Length(header, tables.Count, clusters),
            Length(header, layout.L1EntriesFor(size), layout.ClustersFor(size)));
    }

    // The clusters, or other units, that have data, as runs in order.
    private static IEnumerable<(long Start, long End)> Data(ImageContent? source, int unit)
    {
        long done = 0;
        foreach (ContentExtent extent in source is null ? [] : ContentExtent.Join(source.Map()))
        {
            long start = long.Max(done, extent.Start / unit * unit);
            long end = (extent.End + unit - 1) / unit * unit;
            if (extent.Kind is ExtentKind.Data or ExtentKind.Compressed && end > start)
            {
                yield return (start, done = end);
            }
        }
    }

    // Header, L1 table, L2 tables, data, and as many refcount blocks and clusters of the refcount table as count themselves, too.
    private long Length(ImageHeader header, long tables, long clusters)
    {
        ClusterLayout layout = header.Layout;
        long data = Options.DataFile is null ? clusters : 0;
        long others = 1 + layout.ClustersFor(header.L1Size * 8L) + tables + data;
        long total = others;
        for (long counted = 0; total > counted;)
        {
            counted = total;
            long blocks = (counted + layout.RefcountBlockEntries - 1) / layout.RefcountBlockEntries;
            total = others + blocks + layout.ClustersFor(blocks * 8);
        }

        return total << layout.ClusterBits;
    }

    private ImageMeasurement Describe(long required, long fullyAllocated) => new()
    {
        Path = Path,
        Format = Options.Format,
        Required = required,
        FullyAllocated = fullyAllocated,
    };
}
