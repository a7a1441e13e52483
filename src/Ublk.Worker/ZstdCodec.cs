using Ublk.Images.Qcow2;
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
        // What follows the frame in its last sector is no part of it.
        fixed (byte* from = compressed)
        {
            nuint length = Methods.ZSTD_findFrameCompressedSize(from, (nuint)compressed.Length);
            if (Methods.ZSTD_isError(length))
            {
                return false;
            }

            t_decompressor ??= new Decompressor();
            try
            {
                return t_decompressor.TryUnwrap(compressed[..(int)length], cluster, out int written) && written == cluster.Length;
            }
            catch (ZstdException)
            {
                return false;
            }
        }
    }
}
