using Ublk.Qcow2.Compression;

namespace Ublk.Images;

/// <summary>Writes parts of a disk into a new image, in any order, each once. What is zero takes no space.</summary>
/// <param name="image">The new image. Where nothing is written, it reads as its backing file or as zeroes.</param>
/// <param name="compress">Whether to compress the clusters of a qcow2 image.</param>
internal sealed class ImageWriter(NewImage image, bool compress)
{
    private readonly ClusterCodec? _codec = compress && image.Builder is { } builder ? ClusterCodec.Of(builder.Compression) : null;
    private readonly byte[] _cluster = new byte[image.Builder?.Layout.ClusterSize ?? 0];
    private readonly byte[] _compressed = new byte[image.Builder?.Layout.ClusterSize ?? 0];

    /// <summary>Writes a part.</summary>
    /// <param name="data">Whole clusters, except at the end of the disk.</param>
    /// <param name="offset">The first byte of the part, in bytes.</param>
    /// <exception cref="UblkException">The image cannot be written.</exception>
    public void Write(ReadOnlySpan<byte> data, long offset)
    {
        if (image.Builder is null)
        {
            WriteRaw(data, offset);
            return;
        }

        for (int position = 0; position < data.Length; position += _cluster.Length)
        {
            ReadOnlySpan<byte> cluster = data[position..int.Min(data.Length, position + _cluster.Length)];
            cluster.CopyTo(_cluster);
            _cluster.AsSpan(cluster.Length).Clear();
            WriteCluster(offset + position);
        }
    }

    /// <summary>Writes zeroes.</summary>
    /// <param name="offset">The first byte of a cluster, in bytes.</param>
    /// <param name="length">Bytes of whole clusters, except at the end of the disk.</param>
    public void WriteZeroes(long offset, int length)
    {
        for (int position = 0; image.Builder is { } builder && position < length; position += _cluster.Length)
        {
            builder.Zero(offset + position);
        }
    }

    private void WriteRaw(ReadOnlySpan<byte> data, long offset)
    {
        while (!data.IsEmpty)
        {
            int zeroes = ZeroBlocks.CountZeroes(data);
            int written = ZeroBlocks.CountData(data[zeroes..]);
            image.DataFile.Write(data.Slice(zeroes, written), offset + zeroes);
            data = data[(zeroes + written)..];
            offset += zeroes + written;
        }
    }

    private void WriteCluster(long offset)
    {
        if (!_cluster.AsSpan().ContainsAnyExcept((byte)0))
        {
            image.Builder!.Zero(offset);
            return;
        }

        // Worth it only where it saves something.
        int compressed = _codec?.TryCompress(_cluster, _compressed.AsSpan(0, _cluster.Length - 1)) ?? 0;
        if (compressed > 0)
        {
            image.Builder!.WriteCompressed(offset, _compressed.AsSpan(0, compressed));
        }
        else
        {
            image.Builder!.Write(offset, _cluster);
        }
    }
}
