using Ublk.Io;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.Metadata;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Data;

/// <summary>Reads the disk from an image and what is under it.</summary>
internal sealed class ImageReader(ImageState image, L2Cache tables, DiskLayer? backing) : IDisposable
{
    private readonly ClusterMap _map = new(image, tables);
    private readonly CompressedReader _compressed = new(image);

    /// <summary>Where the disk's bytes are.</summary>
    public ClusterMap Map => _map;

    /// <summary>Fills a buffer that is within the disk.</summary>
    /// <returns>0 or a negative errno.</returns>
    public IoTask<int> ReadAsync(IoBuffer buffer, long offset)
    {
        Extent extent = _map.Find(offset, buffer.Length);
        return extent.Kind == ExtentKind.Data && extent.Length == buffer.Length
            ? image.Data.ReadAsync(buffer, extent.HostOffset, offset)
            : ReadPiecesAsync(buffer, offset);
    }

    /// <summary>Whether a range is known to read as zeroes, without I/O.</summary>
    public bool ReadsAsZeroes(long offset, long length)
    {
        while (length > 0)
        {
            Extent extent = _map.Find(offset, (int)long.Min(length, int.MaxValue));
            bool isZero = extent.Kind == ExtentKind.Zero
                || (extent.Kind == ExtentKind.Unallocated && (backing?.ReadsAsZeroes(offset, extent.Length) ?? true));
            if (!isZero)
            {
                return false;
            }

            offset += extent.Length;
            length -= extent.Length;
        }

        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => _compressed.Dispose();

    private async IoTask<int> ReadPiecesAsync(IoBuffer buffer, long offset)
    {
        while (buffer.Length > 0)
        {
            Extent extent = _map.Find(offset, buffer.Length);
            IoBuffer piece = buffer.Slice(0, extent.Length);
            int result = extent.Kind switch
            {
                ExtentKind.NotCached => await tables.LoadAsync(image.Layout.L1Index(offset)),
                ExtentKind.Data or ExtentKind.SharedData => await image.Data.ReadAsync(piece, extent.HostOffset, offset),
                ExtentKind.Unallocated when backing is not null => await backing.ReadAsync(piece, offset),
                ExtentKind.Compressed => await _compressed.ReadAsync(piece, image.Layout.OffsetInCluster(offset), extent.Entry),
                ExtentKind.Invalid => await image.Health.MarkCorruptAsync(),
                _ => Clear(piece),
            };
            if (result < 0)
            {
                return result;
            }

            buffer = buffer.Slice(extent.Length);
            offset += extent.Length;
        }

        return 0;
    }

    private static int Clear(IoBuffer buffer)
    {
        buffer.Span.Clear();
        return 0;
    }
}
