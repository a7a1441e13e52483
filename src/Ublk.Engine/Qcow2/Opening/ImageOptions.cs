using Ublk.Files;

namespace Ublk.Qcow2.Opening;

/// <summary>How an image is opened.</summary>
internal sealed record ImageOptions
{
    /// <summary>Whether it is opened for reading alone.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>The backing file's format where the header does not say; null for none.</summary>
    public ImageFormat? BackingFormat { get; init; }

    /// <summary>Whether the backing file is left out.</summary>
    public bool NoBacking { get; init; }

    /// <summary>The id or name of the snapshot to read instead of the disk as it is; null for none.</summary>
    public string? Snapshot { get; init; }

    /// <summary>The passphrase of encrypted images; null for none.</summary>
    public byte[]? Passphrase { get; init; }

    /// <summary>Bytes of metadata to keep in memory, of each image of the chain.</summary>
    public long CacheSize { get; init; } = CacheShares.Default;

    /// <summary>Whether free clusters become holes of the host's file.</summary>
    public bool PunchesHoles { get; init; } = true;
}
