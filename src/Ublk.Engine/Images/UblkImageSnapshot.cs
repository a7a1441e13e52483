namespace Ublk.Images;

/// <summary>A snapshot inside an image.</summary>
public sealed record UblkImageSnapshot
{
    /// <summary>Its id, unique in the image.</summary>
    public required string Id { get; init; }

    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>When it was taken.</summary>
    public required DateTimeOffset Created { get; init; }

    /// <summary>Size of the disk when it was taken, in bytes; null in old images, which do not have it.</summary>
    public long? VirtualSize { get; init; }

    /// <summary>Bytes of saved state of a virtual machine; 0 for none.</summary>
    public long VMStateSize { get; init; }

    /// <summary>For how long the virtual machine had run.</summary>
    public TimeSpan VMClock { get; init; }

    /// <summary>The image.</summary>
    public required string Path { get; init; }
}
