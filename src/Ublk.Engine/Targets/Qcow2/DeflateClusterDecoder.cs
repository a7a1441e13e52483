using System.IO.Compression;

namespace Ublk.Targets.Qcow2;

/// <summary>Decompresses raw deflate streams by the framework's zlib.</summary>
internal sealed class DeflateClusterDecoder : IClusterDecoder
{
    /// <inheritdoc/>
    public unsafe bool TryDecode(ReadOnlySpan<byte> stored, Span<byte> cluster)
    {
        fixed (byte* start = stored)
        {
            using UnmanagedMemoryStream stream = new(start, stored.Length);
            using DeflateStream inflated = new(stream, CompressionMode.Decompress);
            try
            {
                return inflated.ReadAtLeast(cluster, cluster.Length, throwOnEndOfStream: false) == cluster.Length;
            }
            catch (InvalidDataException)
            {
                return false;
            }
        }
    }
}
