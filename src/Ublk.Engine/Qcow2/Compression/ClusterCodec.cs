using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.Compression;

/// <summary>A way to compress clusters. Callable from any thread.</summary>
internal abstract class ClusterCodec
{
    private static ClusterCodec? s_zstd;

    /// <summary>Adds Zstandard, which the framework lacks. A program calls this once, before it opens an image.</summary>
    /// <param name="codec">The codec, for the life of the process.</param>
    /// <exception cref="InvalidOperationException">The process has one.</exception>
    public static void AddZstd(ClusterCodec codec)
    {
        if (Interlocked.CompareExchange(ref s_zstd, codec, null) is not null)
        {
            throw new InvalidOperationException("The process has a codec for zstd.");
        }
    }

    /// <summary>The codec of a compression type.</summary>
    /// <exception cref="UblkException">This program lacks it.</exception>
    public static ClusterCodec Of(CompressionType type) => type == CompressionType.Zlib
        ? DeflateCodec.Instance
        : s_zstd ?? throw new UblkException(UblkError.NotSupported, "This program has no zstd. The worker program of the module has.");

    /// <summary>Compresses a cluster.</summary>
    /// <param name="cluster">The cluster.</param>
    /// <param name="compressed">Where the result goes.</param>
    /// <returns>Bytes of the result; 0 where there is not enough room for it.</returns>
    public abstract int TryCompress(ReadOnlySpan<byte> cluster, Span<byte> compressed);

    /// <summary>Decompresses a cluster.</summary>
    /// <param name="compressed">The compressed cluster, and perhaps more.</param>
    /// <param name="cluster">Where it goes.</param>
    /// <returns>False where that is no compressed cluster of this size.</returns>
    public abstract bool TryDecompress(ReadOnlySpan<byte> compressed, Span<byte> cluster);
}
