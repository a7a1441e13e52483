using Ublk.Files;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;

namespace Ublk.Images.Content;

/// <summary>Opens an image with all that is behind it.</summary>
internal sealed class ImageChain
{
    private readonly Func<string, DiskFile> _open;
    private readonly BackingChain _chain;

    private ImageChain(Func<string, DiskFile> open, ImageFormat? backingFormat)
    {
        _open = open;
        _chain = new BackingChain(backingFormat, canLeaveOut: false);
    }

    /// <summary>Opens an image.</summary>
    /// <param name="path">The image.</param>
    /// <param name="format">Its format; null to see by how it begins.</param>
    /// <param name="backingFormat">The format of backing files where the header does not name it; null to refuse those.</param>
    /// <param name="open">Opens a file of the chain.</param>
    /// <param name="snapshot">The id or name of a snapshot to show in the place of the disk; null for the disk.</param>
    /// <exception cref="UblkException">A file is missing, invalid or in use, or the chain leads back to itself.</exception>
    public static ImageContent Open(
        string path, ImageFormat? format, ImageFormat? backingFormat, Func<string, DiskFile> open, string? snapshot = null) =>
        new ImageChain(open, backingFormat).OpenLayer(open(path), format, snapshot);

    /// <summary>Opens a qcow2 image without what is behind it: clusters that it does not have are unallocated.</summary>
    /// <param name="path">The image.</param>
    /// <param name="open">Opens the image, and the external data file if it has one.</param>
    /// <exception cref="UblkException">It is no qcow2 image, invalid, missing or in use.</exception>
    public static ImageContent OpenAlone(string path, Func<string, DiskFile> open)
    {
        Qcow2File image = Qcow2File.Read(open(path));
        try
        {
            return new Qcow2Content(image, null, OpenData(image, open));
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    /// <summary>The format an image seems to have.</summary>
    /// <exception cref="UblkException">It is one that is unknown here.</exception>
    public static ImageFormat Detect(DiskFile file)
    {
        ForeignFormat.Refuse(file);
        return ImageHeader.IsQcow2(file.ReadBytes(0, 4)) ? ImageFormat.Qcow2 : ImageFormat.Raw;
    }

    private ImageContent OpenLayer(DiskFile file, ImageFormat? format, string? snapshot)
    {
        ImageContent? backing = null;
        try
        {
            if ((format ?? Detect(file)) == ImageFormat.Raw)
            {
                return snapshot is null
                    ? new RawContent(file)
                    : throw new UblkException(UblkError.SnapshotNotFound, $"{file.Path} is a raw image, which has no snapshots.");
            }

            Qcow2File image = Qcow2File.Read(file);
            Snapshot? shown = snapshot is null ? null : image.FindSnapshot(snapshot);
            backing = image.Header.BackingFile is null ? null : OpenBacking(image);
            return new Qcow2Content(image, shown, OpenData(image, _open)) { Backing = backing };
        }
        catch
        {
            backing?.Dispose();
            file.Dispose();
            throw;
        }
    }

    private static DiskFile? OpenData(Qcow2File image, Func<string, DiskFile> open) =>
        image.HasDataFile ? BackingChain.OpenData(image.File, image.Header, isWritten: false, open) : null;

    private ImageContent OpenBacking(Qcow2File image)
    {
        (DiskFile file, ImageFormat format) = _chain.OpenBacking(image.File, image.Header, name => _open(name.Path));
        return OpenLayer(file, format, null);
    }
}
