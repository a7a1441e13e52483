using Ublk.Files;

namespace Ublk.Launching;

/// <summary>A backup that a disk in use is to get.</summary>
/// <param name="Id">The device.</param>
/// <param name="Path">The new image, by its absolute path.</param>
/// <param name="Format">Its format.</param>
internal sealed record BackupRequest(int Id, string Path, ImageFormat Format)
{
    /// <summary>Whether to compress each cluster.</summary>
    public bool Compress { get; init; }

    /// <summary>Whether a file that is there gives way.</summary>
    public bool Force { get; init; }

    /// <summary>The persistent bitmap of the disk's image that has the changes since the last backup; null for none.</summary>
    public string? Bitmap { get; init; }

    /// <summary>The last backup, by its absolute path, if only what has changed since is to be copied.</summary>
    public string? BackingPath { get; init; }

    /// <summary>Its format.</summary>
    public ImageFormat BackingFormat { get; init; }
}
