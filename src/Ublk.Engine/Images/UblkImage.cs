using Ublk.Files;

namespace Ublk.Images;

/// <summary>A disk image, by its header and the file system.</summary>
public sealed record UblkImage
{
    /// <summary>The image's file.</summary>
    public required string Path { get; init; }

    /// <summary>Its format.</summary>
    public required ImageFormat Format { get; init; }

    /// <summary>Size of the disk in bytes.</summary>
    public required long VirtualSize { get; init; }

    /// <summary>What the file takes of its file system, in bytes.</summary>
    public required long DiskSize { get; init; }

    /// <summary>Length of the file in bytes.</summary>
    public required long FileSize { get; init; }

    /// <summary>Whether a device or another program has it open.</summary>
    public required bool InUse { get; init; }

    /// <summary>Of qcow2: the version; null for raw, as all that follows.</summary>
    public int? Version { get; init; }

    /// <summary>Bytes of a cluster.</summary>
    public int? ClusterSize { get; init; }

    /// <summary>Bits of a reference count.</summary>
    public int? RefcountBits { get; init; }

    /// <summary>How clusters are compressed.</summary>
    public ImageCompression? CompressionType { get; init; }

    /// <summary>Whether parts of clusters can be allocated.</summary>
    public bool? ExtendedL2 { get; init; }

    /// <summary>Whether reference counts may be written late.</summary>
    public bool? LazyRefcounts { get; init; }

    /// <summary>How it is encrypted: Aes, Luks, or null.</summary>
    public string? Encryption { get; init; }

    /// <summary>Whether its reference counts are to be repaired before it is written.</summary>
    public bool? Dirty { get; init; }

    /// <summary>Whether it was caught contradicting itself.</summary>
    public bool? Corrupt { get; init; }

    /// <summary>The backing file as the header names it.</summary>
    public string? BackingFile { get; init; }

    /// <summary>Where that leads; null where it leads to no file of this machine.</summary>
    public string? BackingPath { get; init; }

    /// <summary>The backing file's format as the header calls it.</summary>
    public string? BackingFormat { get; init; }

    /// <summary>The external data file as the header names it.</summary>
    public string? DataFile { get; init; }

    /// <summary>Where that leads.</summary>
    public string? DataPath { get; init; }

    /// <summary>Whether the external data file is a raw image of the disk, too.</summary>
    public bool? DataFileRaw { get; init; }

    /// <summary>The snapshots inside it.</summary>
    public IReadOnlyList<UblkImageSnapshot> Snapshots { get; init; } = [];

    /// <summary>The persistent bitmaps inside it.</summary>
    public IReadOnlyList<UblkImageBitmap> Bitmaps { get; init; } = [];
}
