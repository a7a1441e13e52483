namespace Ublk.Targets.Qcow2;

/// <summary>Decompresses clusters of one compression type. Used by all queues at once.</summary>
internal interface IClusterDecoder
{
    /// <summary>Decompresses a cluster.</summary>
    /// <param name="stored">The compressed data, and what follows it in its last sector.</param>
    /// <param name="cluster">Gets the whole cluster.</param>
    /// <returns>Whether the data is sound and gives a whole cluster.</returns>
    bool TryDecode(ReadOnlySpan<byte> stored, Span<byte> cluster);
}
