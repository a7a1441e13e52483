using Ublk.Files;

namespace Ublk.Images;

/// <summary>What a new image is like.</summary>
public sealed record NewImageOptions
{
    /// <summary>Its format.</summary>
    public required ImageFormat Format { get; init; }

    /// <summary>How much of it has a place from the start.</summary>
    public ImagePreallocation Preallocation { get; init; }

    /// <summary>Of qcow2: the version, 2 or 3.</summary>
    public int Version { get; init; } = 3;

    /// <summary>Of qcow2: bytes of a cluster; null for 64 KiB, with <see cref="ExtendedL2"/> 128 KiB.</summary>
    public int? ClusterSize { get; init; }

    /// <summary>Of qcow2: bits of a reference count; null for 16.</summary>
    public int? RefcountBits { get; init; }

    /// <summary>Of qcow2: how clusters are compressed.</summary>
    public ImageCompression CompressionType { get; init; }

    /// <summary>
    /// Of qcow2: whether parts of clusters can be allocated, 32 of each; null for images of version 3 with a backing file and clusters of
    /// at least 16 KiB.
    /// </summary>
    public bool? ExtendedL2 { get; init; }

    /// <summary>Of qcow2: whether reference counts may be written late.</summary>
    public bool LazyRefcounts { get; init; }

    /// <summary>Of qcow2: the backing file as the header is to name it; null for none.</summary>
    public string? BackingFile { get; init; }

    /// <summary>Of qcow2: the backing file's format.</summary>
    public ImageFormat? BackingFormat { get; init; }

    /// <summary>Of qcow2: the external data file as the header is to name it; null for none.</summary>
    public string? DataFile { get; init; }

    /// <summary>Of qcow2: the file with the passphrase of an image encrypted with LUKS; null for one that is not encrypted.</summary>
    public string? KeyFile { get; init; }

    /// <summary>Of qcow2: whether the external data file is a raw image of the disk, too.</summary>
    public bool DataFileRaw { get; init; }
}

/// <summary>How much of a new image has a place from the start.</summary>
public enum ImagePreallocation
{
    /// <summary>Nothing.</summary>
    Off,

    /// <summary>The tables, so that no write has to make one.</summary>
    Metadata,

    /// <summary>All of it, as a promise of the file system.</summary>
    Falloc,

    /// <summary>All of it, written with zeroes.</summary>
    Full,
}

/// <summary>How clusters are compressed.</summary>
public enum ImageCompression
{
    /// <summary>Deflate, which every program can read.</summary>
    Zlib,

    /// <summary>Zstandard: faster, and smaller.</summary>
    Zstd,
}
