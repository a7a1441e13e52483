using Ublk.Files;

namespace Ublk.Images;

/// <summary>The space that a new image needs.</summary>
public sealed record ImageMeasurement : ImageResult
{
    /// <summary>The format of the new image.</summary>
    public required ImageFormat Format { get; init; }

    /// <summary>The length of the file in bytes that holds the allocated data of the source; clusters of zeroes count as data.</summary>
    public required long Required { get; init; }

    /// <summary>The length of the file in bytes if every cluster of the disk is allocated.</summary>
    public required long FullyAllocated { get; init; }
}
