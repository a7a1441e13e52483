using Ublk.Files;
using Ublk.Qcow2.Format;

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

/// <summary>How much of an image's metadata is kept in memory.</summary>
internal readonly record struct CacheShares(int Tables, int RefcountBlocks)
{
    /// <summary>8 MiB of L2 tables and 2 MiB of refcount blocks: those of 64 GiB in clusters of 64 KiB.</summary>
    public const long Default = 10 << 20;

    // A table that is changed and one that takes its place; more would be no cache.
    private const int Least = 4;

    /// <summary>Divides a number of bytes four to one, and takes no more than the image has.</summary>
    public static CacheShares Of(long bytes, ImageHeader header) => new(
        (int)long.Clamp(bytes / 5 * 4 / header.Layout.ClusterSize, Least, int.Max(header.L1Size, Least)),
        (int)long.Clamp(bytes / 5 / header.Layout.ClusterSize, Least, int.MaxValue));
}
