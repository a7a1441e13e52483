namespace Ublk.Images.Qcow2;

/// <summary>Compresses clusters. Used by several threads at once.</summary>
internal interface IClusterEncoder
{
    /// <summary>Compresses a cluster.</summary>
    /// <param name="cluster">The cluster.</param>
    /// <param name="stored">Where the result goes.</param>
    /// <returns>Bytes of the result; 0 where it does not fit.</returns>
    int TryEncode(ReadOnlySpan<byte> cluster, Span<byte> stored);
}
