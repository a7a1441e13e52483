using Ublk.Io;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.Metadata;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Data;

/// <summary>Writes the disk's data: where it has its place already, there; otherwise it gets one.</summary>
internal sealed class ImageWriter(ImageState image, ClusterMap map, L2Cache tables, AllocatingWriter allocatingWriter)
{
    /// <summary>Writes a buffer that is within the disk.</summary>
    /// <param name="buffer">The data.</param>
    /// <param name="offset">First byte on the disk.</param>
    /// <param name="durable">Whether what is written in place must be durable when it is written.</param>
    /// <returns>0 or a negative errno.</returns>
    public IoTask<int> WriteAsync(IoBuffer buffer, long offset, bool durable)
    {
        Extent extent = map.Find(offset, buffer.Length);
        return extent.Kind == ExtentKind.Data && extent.Length == buffer.Length
            ? WriteInPlaceAsync(buffer, extent.HostOffset, offset, durable)
            : WritePiecesAsync(buffer, offset, durable);
    }

    private async IoTask<int> WritePiecesAsync(IoBuffer buffer, long offset, bool durable)
    {
        while (buffer.Length > 0)
        {
            Extent extent = map.Find(offset, buffer.Length);
            int written = extent.Length;
            int result = extent.Kind switch
            {
                ExtentKind.NotCached => await tables.LoadAsync(image.Layout.L1Index(offset)),
                ExtentKind.Invalid => await image.Health.MarkCorruptAsync(),
                ExtentKind.Data => await WriteInPlaceAsync(buffer.Slice(0, extent.Length), extent.HostOffset, offset, durable),
                _ => written = await allocatingWriter.WriteAsync(buffer, offset),
            };
            if (result < 0)
            {
                return result;
            }

            buffer = buffer.Slice(written);
            offset += written;
        }

        return 0;
    }

    private IoTask<int> WriteInPlaceAsync(IoBuffer buffer, long place, long offset, bool durable) =>
        !image.HasDataFile && image.Metadata.Overlaps(place, buffer.Length)
            ? image.Health.MarkCorruptAsync()
            : image.Data.WriteAsync(buffer, place, offset, durable);
}
