namespace Ublk.Images.Qcow2;

/// <summary>The encoders there are. The framework has none for zstd: a program that has one adds it when it starts.</summary>
internal static class ClusterEncoders
{
    private static readonly IClusterEncoder s_zlib = new DeflateClusterEncoder();

    /// <summary>The encoder for zstd, or null.</summary>
    public static IClusterEncoder? Zstd { get; set; }

    /// <summary>The encoder for a type.</summary>
    /// <exception cref="UblkException">This program has none.</exception>
    public static IClusterEncoder Find(ImageCompression type) => (type == ImageCompression.Zlib ? s_zlib : Zstd)
        ?? throw new UblkException(UblkError.NotSupported, $"This program cannot compress with {type}.");
}
