using Ublk.Qcow2.Compression;
using ZstdSharp;
using ZstdSharp.Unsafe;

namespace Ublk.Worker;

/// <summary>Zstandard, which the framework lacks.</summary>
internal sealed class ZstdCodec : ClusterCodec
{
    // A context takes long to make, and serves one thread at a time.
    [ThreadStatic]
    private static Compressor? t_compressor;

    [ThreadStatic]
    private static Decompressor? t_decompressor;

    /// <inheritdoc/>
    public override int TryCompress(ReadOnlySpan<byte> cluster, Span<byte> compressed)
    {
        t_compressor ??= new Compressor();
        return t_compressor.TryWrap(cluster, compressed, out int length) ? length : 0;
    }

    /// <inheritdoc/>
    public override unsafe bool TryDecompress(ReadOnlySpan<byte> compressed, Span<byte> cluster)
    {
        // A cluster may be several frames. What follows the last in its last sector is no part of it.
        t_decompressor ??= new Decompressor();
        while (!cluster.IsEmpty)
        {
            nuint length;
            fixed (byte* from = compressed)
            {
                length = Methods.ZSTD_findFrameCompressedSize(from, (nuint)compressed.Length);
            }

            try
            {
                if (Methods.ZSTD_isError(length) || !t_decompressor.TryUnwrap(compressed[..(int)length], cluster, out int written))
                {
                    return false;
                }

                compressed = compressed[(int)length..];
                cluster = cluster[written..];
            }
            catch (ZstdException)
            {
                return false;
            }
        }

        return true;
    }
}
