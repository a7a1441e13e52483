using Ublk.Images.Qcow2;
using ZstdSharp;

namespace Ublk.Worker;

/// <summary>Compresses clusters into Zstandard frames.</summary>
internal sealed class ZstdClusterEncoder : IClusterEncoder
{
    // A context takes long to make, and serves one thread at a time.
    [ThreadStatic]
    private static Compressor? t_compressor;

    /// <inheritdoc/>
    public int TryEncode(ReadOnlySpan<byte> cluster, Span<byte> stored)
    {
        t_compressor ??= new Compressor();
        return t_compressor.TryWrap(cluster, stored, out int length) ? length : 0;
    }
}
