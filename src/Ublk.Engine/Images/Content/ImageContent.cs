using Ublk.Files;
using Ublk.Qcow2.Format;

namespace Ublk.Images.Content;

/// <summary>An image of a chain as the disk's content: what is where, and reading it. Its layers below belong to it.</summary>
internal abstract class ImageContent(DiskFile file) : IDisposable
{
    /// <summary>The image's file.</summary>
    public DiskFile File => file;

    /// <summary>The image's format.</summary>
    public abstract ImageFormat Format { get; }

    /// <summary>Size of the disk in bytes.</summary>
    public abstract long Size { get; }

    /// <summary>The file that has the data.</summary>
    public virtual DiskFile DataFile => file;

    /// <summary>The layer below, which has what this one does not; null where there is none.</summary>
    public ImageContent? Backing { get; init; }

    /// <summary>What this layer alone says of the disk, in order.</summary>
    /// <param name="start">The first byte of the range.</param>
    /// <param name="end">The byte after the last.</param>
    protected abstract IEnumerable<ContentExtent> OwnExtents(long start, long end);

    /// <summary>Decompresses a cluster.</summary>
    /// <param name="compressed">As many bytes as the extent says.</param>
    /// <param name="cluster">Where the cluster goes.</param>
    protected virtual void Decompress(ReadOnlySpan<byte> compressed, Span<byte> cluster) => throw new NotSupportedException();

    /// <summary>Bytes of a cluster.</summary>
    protected virtual int ClusterSize => 0;

    /// <summary>What the layers together say of the disk, in order and without gaps.</summary>
    public IEnumerable<ContentExtent> Map() => Map(0, Size);

    /// <summary>What they say of a range of it.</summary>
    /// <param name="start">The first byte.</param>
    /// <param name="end">The byte after the last, on the disk.</param>
    public IEnumerable<ContentExtent> Map(long start, long end) => Map(start, end, 0);

    /// <summary>Makes sure that what the layers have can be read: a map takes no key, but the data does.</summary>
    /// <exception cref="UblkException">A layer is encrypted.</exception>
    public virtual void RequireReadable() => Backing?.RequireReadable();

    /// <summary>Reads a part of an extent of this layer that has data; callable from any thread.</summary>
    /// <param name="extent">The part.</param>
    /// <param name="buffer">As long as it is.</param>
    /// <exception cref="UblkException">It cannot be read, or decompressed.</exception>
    public void Read(in ContentExtent extent, Span<byte> buffer)
    {
        if (extent.Kind == ExtentKind.Data)
        {
            DataFile.Read(buffer, extent.Offset);
            return;
        }

        byte[] compressed = new byte[extent.CompressedLength];
        File.Read(compressed, extent.Offset);
        if (extent.Skip == 0 && extent.Length == ClusterSize)
        {
            Decompress(compressed, buffer);
            return;
        }

        byte[] cluster = new byte[ClusterSize];
        Decompress(compressed, cluster);
        cluster.AsSpan(extent.Skip, buffer.Length).CopyTo(buffer);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Closes the files.</summary>
    protected virtual void Dispose(bool disposing)
    {
        file.Dispose();
        Backing?.Dispose();
    }

    private IEnumerable<ContentExtent> Map(long start, long end, int depth)
    {
        foreach (ContentExtent extent in ContentExtent.Join(OwnExtents(start, end)))
        {
            if (extent.Kind != ExtentKind.Unallocated || Backing is null)
            {
                yield return extent with { Layer = this, Depth = depth };
                continue;
            }

            if (extent.Start < Backing.Size)
            {
                foreach (ContentExtent below in Backing.Map(extent.Start, long.Min(extent.End, Backing.Size), depth + 1))
                {
                    yield return below;
                }
            }

            ContentExtent beyond = extent.Clip(Backing.Size, long.MaxValue);
            if (beyond.Length > 0)
            {
                yield return beyond with { Layer = this, Depth = depth };
            }
        }
    }
}
