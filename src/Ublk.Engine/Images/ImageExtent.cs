namespace Ublk.Images;

/// <summary>A range of a disk, and where it is.</summary>
public sealed record ImageExtent
{
    /// <summary>The first byte, on the disk.</summary>
    public required long Start { get; init; }

    /// <summary>Bytes.</summary>
    public required long Length { get; init; }

    /// <summary>Which image of the chain has it: 0 for the image itself, 1 for its backing file, and so on.</summary>
    public required int Depth { get; init; }

    /// <summary>Whether an image of the chain says anything of it; otherwise it reads as zeroes.</summary>
    public required bool Present { get; init; }

    /// <summary>Whether it is known to read as zeroes.</summary>
    public required bool Zero { get; init; }

    /// <summary>Whether there is data for it.</summary>
    public required bool Data { get; init; }

    /// <summary>Whether that is compressed.</summary>
    public required bool Compressed { get; init; }

    /// <summary>The first byte in the file; null where it has no place of its own there.</summary>
    public long? Offset { get; init; }

    /// <summary>The file; null where it has no place of its own.</summary>
    public string? Path { get; init; }
}
