using Ublk.Io;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.Metadata;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Data;

/// <summary>Copies what is read from the backing file into the image, which then does without it.</summary>
/// <remarks>
/// The backing file does not change meanwhile, so that its data is right wherever the image has nothing of its own. Zeroes are left out:
/// an image without a backing file reads them there.
/// </remarks>
internal sealed class BackingPuller(
    ImageState image, ClusterMap map, L2Cache tables, AllocatingWriter allocatingWriter, DiskLayer? backing)
{
    /// <summary>Copies a range within the disk.</summary>
    /// <param name="buffer">Memory of its length.</param>
    /// <param name="offset">The first byte.</param>
    /// <returns>0 or a negative errno.</returns>
    public async IoTask<int> PullAsync(IoBuffer buffer, long offset)
    {
        int result = 0;
        while (buffer.Length > 0 && result >= 0 && backing is not null)
        {
            // One cluster at a time: the data of some must not make others of zeroes be allocated.
            int rest = image.Layout.ClusterSize - image.Layout.OffsetInCluster(offset);
            Extent extent = map.Find(offset, int.Min(buffer.Length, rest));
            int done = extent.Length;
            if (extent.Kind == ExtentKind.NotCached)
            {
                result = await tables.LoadAsync(image.Layout.L1Index(offset));
            }
            else if (extent.Kind == ExtentKind.Unallocated && !backing.ReadsAsZeroes(offset, done))
            {
                IoBuffer part = buffer.Slice(0, done);
                result = await backing.ReadAsync(part, offset);
                if (result == 0 && part.Span.ContainsAnyExcept((byte)0))
                {
                    result = done = await allocatingWriter.FillAsync(part, offset);
                }
            }

            if (result >= 0)
            {
                buffer = buffer.Slice(done);
                offset += done;
            }
        }

        return int.Min(result, 0);
    }
}
