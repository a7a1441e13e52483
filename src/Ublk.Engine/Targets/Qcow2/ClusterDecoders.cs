using Ublk.Targets.Qcow2.Format;

namespace Ublk.Targets.Qcow2;

/// <summary>The decoders there are. The framework has none for zstd: a program that has one adds it when it starts.</summary>
internal static class ClusterDecoders
{
    private static readonly IClusterDecoder s_zlib = new DeflateClusterDecoder();

    /// <summary>The decoder for zstd, or null.</summary>
    public static IClusterDecoder? Zstd { get; set; }

    /// <summary>The decoder for a type, or null.</summary>
    public static IClusterDecoder? Find(CompressionType type) => type switch
    {
        CompressionType.Zlib => s_zlib,
        CompressionType.Zstd => Zstd,
        _ => null,
    };
}
