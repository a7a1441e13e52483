using Ublk.Targets.Qcow2;
using ZstdSharp;
using ZstdSharp.Unsafe;

namespace Ublk.Worker;

/// <summary>Decompresses Zstandard frames, for which the framework has nothing.</summary>
internal sealed class ZstdClusterDecoder : IClusterDecoder
{
    // A context takes long to make, and serves one thread at a time.
    [ThreadStatic]
    private static Decompressor? t_decompressor;

    /// <inheritdoc/>
    public bool TryDecode(ReadOnlySpan<byte> stored, Span<byte> cluster)
    {
        int length = FrameLength(stored);
        t_decompressor ??= new Decompressor();
        try
        {
            return length > 0 && t_decompressor.TryUnwrap(stored[..length], cluster, out int written) && written == cluster.Length;
        }
        catch (ZstdException)
        {
            return false;
        }
    }

    // What follows the frame in its last sector is no part of it.
    private static unsafe int FrameLength(ReadOnlySpan<byte> stored)
    {
        fixed (byte* start = stored)
        {
            nuint length = Methods.ZSTD_findFrameCompressedSize(start, (nuint)stored.Length);
            return Methods.ZSTD_isError(length) ? 0 : (int)length;
        }
    }
}
