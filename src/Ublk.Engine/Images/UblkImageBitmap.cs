namespace Ublk.Images;

/// <summary>A persistent bitmap inside an image: which ranges of its disk have changed since it was added or cleared.</summary>
public sealed record UblkImageBitmap
{
    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>Bytes of the disk that one bit stands for.</summary>
    public required long Granularity { get; init; }

    /// <summary>Whether changes are recorded.</summary>
    public required bool Enabled { get; init; }

    /// <summary>Whether a program has it in memory, or had and did not save it. It cannot be used then.</summary>
    public required bool InUse { get; init; }

    /// <summary>The image.</summary>
    public required string Path { get; init; }
}
