using System.Runtime.CompilerServices;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.Compression;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Data;

/// <summary>Reads compressed clusters.</summary>
internal sealed class CompressedReader : IDisposable
{
    private readonly ImageState _image;
    private readonly ClusterLayout _layout;
    private readonly ClusterCodec _codec;
    private readonly BufferPool _stored;
    private readonly BufferPool _clusters;

    /// <summary>Wraps an image.</summary>
    /// <param name="image">The image.</param>
    /// <exception cref="UblkException">This program lacks its compression.</exception>
    public CompressedReader(ImageState image)
    {
        _image = image;
        _layout = image.Layout;
        _codec = ClusterCodec.Of(image.Header.Compression);

        // Compressed data is never longer than a cluster, but may begin and end in the middle of a block.
        _stored = new BufferPool(_layout.ClusterSize + 512 + (2 * int.Max(512, image.File.Alignment)), kept: 4);
        _clusters = new BufferPool(_layout.ClusterSize, kept: 4);
    }

    /// <summary>Fills a buffer with a part of a compressed cluster.</summary>
    /// <param name="piece">The buffer.</param>
    /// <param name="start">The part's first byte in the cluster.</param>
    /// <param name="entry">The cluster's entry.</param>
    /// <returns>0 or a negative errno; -EIO where the data cannot be decompressed.</returns>
    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    public async ValueTask<int> ReadAsync(IoBuffer piece, int start, L2Entry entry)
    {
        long offset = entry.CompressedOffset(_layout);
        int skipped = (int)(offset % _image.File.Alignment);
        int length = int.Min(entry.CompressedLength(_layout), _layout.ClusterSize + 512);
        int wanted = skipped + length + _image.File.Alignment - 1;
        wanted -= wanted % _image.File.Alignment;
        using RentedBuffer stored = _stored.Lend();
        using RentedBuffer cluster = _clusters.Lend();
        int result = await _image.File.ReadAsync(stored.Part(0, wanted), offset - skipped);
        if (result < 0)
        {
            return result;
        }

        _image.Statistics.Decompressions.Add();
        if (!_codec.TryDecompress(stored.Span.Slice(skipped, length), cluster.Span))
        {
            return -Libc.EIO;
        }

        cluster.Span.Slice(start, piece.Length).CopyTo(piece.Span);
        return 0;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stored.Dispose();
        _clusters.Dispose();
    }
}
