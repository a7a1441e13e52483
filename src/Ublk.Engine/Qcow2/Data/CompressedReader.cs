using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.Compression;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Data;

/// <summary>Reads compressed clusters.</summary>
/// <param name="image">The image, whose compression this program has.</param>
internal sealed class CompressedReader(ImageState image) : IDisposable
{
    private readonly ClusterLayout _layout = image.Layout;
    private readonly ClusterCodec _codec = ClusterCodec.Of(image.Header.Compression);

    // Compressed data is never longer than a cluster, but may begin and end in the middle of a block.
    private readonly BufferPool _stored = new(image.Layout.ClusterSize + 512 + (2 * int.Max(512, image.File.Alignment)), kept: 4);
    private readonly DecompressedClusters _clusters = new(image.Layout.ClusterSize);

    /// <summary>Fills a buffer with a part of a compressed cluster, from one of its bytes on.</summary>
    /// <returns>0 or a negative errno; -EIO where the data cannot be decompressed.</returns>
    public IoTask<int> ReadAsync(IoBuffer piece, int start, L2Entry entry) =>
        piece.Length == _layout.ClusterSize ? DecompressAsync(piece, entry) : ReadPartAsync(piece, start, entry);

    private async IoTask<int> ReadPartAsync(IoBuffer piece, int start, L2Entry entry)
    {
        DecompressedClusters.Cluster cluster = _clusters.Take(entry.Descriptor, out bool isNew);
        int result = -Libc.EIO;
        try
        {
            if (!isNew)
            {
                result = await _clusters.WaitAsync(cluster);
            }
            else
            {
                try
                {
                    result = await DecompressAsync(cluster.Buffer!.Part(0, _layout.ClusterSize), entry);
                }
                finally
                {
                    _clusters.Complete(cluster, result);
                }
            }

            if (result == 0)
            {
                cluster.Buffer!.Span.Slice(start, piece.Length).CopyTo(piece.Span);
            }

            return result;
        }
        finally
        {
            _clusters.Return(cluster);
        }
    }

    private async IoTask<int> DecompressAsync(IoBuffer cluster, L2Entry entry)
    {
        long offset = entry.CompressedOffset(_layout);
        int skipped = (int)(offset % image.File.Alignment);
        int length = int.Min(entry.CompressedLength(_layout), _layout.ClusterSize + 512);
        int wanted = skipped + length + image.File.Alignment - 1;
        wanted -= wanted % image.File.Alignment;
        using RentedBuffer stored = _stored.Lend();
        int result = await image.File.ReadAsync(stored.Part(0, wanted), offset - skipped);
        if (result < 0)
        {
            return result;
        }

        image.Statistics.Decompressions.Add();
        return _codec.TryDecompress(stored.Span.Slice(skipped, length), cluster.Span) ? 0 : -Libc.EIO;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stored.Dispose();
        _clusters.Dispose();
    }
}
