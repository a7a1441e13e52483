namespace Ublk.Images;

/// <summary>The result of the comparison of two disk images.</summary>
public sealed record ImageComparison : ImageResult
{
    /// <summary>The other image.</summary>
    public required string OtherPath { get; init; }

    /// <summary>Whether both disks have the same content. What one has beyond the end of the other must be zeroes.</summary>
    public bool Identical => FirstDifference is null;

    /// <summary>The offset on the disk of the first byte that differs; null if none does.</summary>
    public long? FirstDifference { get; init; }

    /// <summary>The size of the image's disk in bytes.</summary>
    public required long Size { get; init; }

    /// <summary>The size of the other image's disk in bytes.</summary>
    public required long OtherSize { get; init; }
}
