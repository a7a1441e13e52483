using Ublk.Files;

namespace Ublk.Live;

/// <summary>The new image of a backup.</summary>
/// <param name="Path">Its absolute path; no link.</param>
/// <param name="Folder">The folder that it goes to, as the command sees it.</param>
/// <param name="TemporaryName">The name in this folder that it has until it is whole.</param>
/// <param name="Format">Its format.</param>
/// <param name="Size">The size of the disk in bytes.</param>
internal sealed record BackupOrder(string Path, FileIdentity? Folder, string TemporaryName, ImageFormat Format, long Size)
{
    /// <summary>Whether each cluster is compressed.</summary>
    public bool Compress { get; init; }

    /// <summary>Whether a file that is there gives way.</summary>
    public bool Replace { get; init; }

    /// <summary>
    /// The persistent bitmap of the disk's image that has the changes since the last backup, and from this one on those since this one;
    /// null for none.
    /// </summary>
    public string? Bitmap { get; init; }

    /// <summary>The last backup, by its absolute path: only what the bitmap has is copied. Null to copy everything.</summary>
    public string? BackingPath { get; init; }

    /// <summary>Its format.</summary>
    public ImageFormat BackingFormat { get; init; }
}
