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
}
