using Ublk.Files;
using Ublk.Interop;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;

namespace Ublk.Images.Content;

/// <summary>Opens an image with all that is behind it.</summary>
internal sealed class ImageChain
{
    private readonly Func<string, DiskFile> _open;
    private readonly ImageFormat? _backingFormat;
    private readonly List<string> _paths = [];

    private ImageChain(Func<string, DiskFile> open, ImageFormat? backingFormat)
    {
        _open = open;
        _backingFormat = backingFormat;
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
        new ImageChain(open, backingFormat).OpenLayer(path, format, snapshot, null);

    /// <summary>The format an image seems to have.</summary>
    /// <exception cref="UblkException">It is one that is unknown here.</exception>
    public static ImageFormat Detect(DiskFile file)
    {
        ForeignFormat.Refuse(file);
        byte[] start = new byte[4];
        file.Read(start, 0);
        return ImageHeader.IsQcow2(start) ? ImageFormat.Qcow2 : ImageFormat.Raw;
    }

    private ImageContent OpenLayer(string path, ImageFormat? format, string? snapshot, DiskFile? above)
    {
        if (_paths.Exists(known => FileIdentity.IsSame(known, path)))
        {
            throw ImageError.Invalid(_paths[0],
                $"its chain of backing files leads back to {path}: {string.Join(" -> ", [.. _paths, path])}");
        }

        _paths.Add(path);
        DiskFile file = OpenFile(path, above);
        ImageFormat found;
        try
        {
            found = format ?? Detect(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }

        if (found == ImageFormat.Raw)
        {
            return snapshot is null
                ? new RawContent(file)
                : throw new UblkException(UblkError.SnapshotNotFound, $"{path} is a raw image, which has no snapshots.");
        }

        Qcow2File image = Qcow2File.Read(file);
        try
        {
            return OpenQcow2(image, snapshot is null ? null : image.FindSnapshot(snapshot));
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    private Qcow2Content OpenQcow2(Qcow2File image, Snapshot? snapshot)
    {
        string path = image.File.Path;
        ImageContent? backing = null;
        if (image.Header.BackingFile is not null)
        {
            BackingName name = BackingName.Of(path, image.Header, _backingFormat);
            backing = OpenLayer(name.Path, name.Format, null, image.File);
        }

        try
        {
            DiskFile? data = null;
            if (image.HasDataFile)
            {
                string dataName = image.Header.DataFile ?? throw ImageError.Invalid(path, "it does not name its external data file");
                data = OpenFile(ImageReference.Resolve(path, dataName), image.File);
            }

            return new Qcow2Content(image, snapshot, data) { Backing = backing };
        }
        catch
        {
            backing?.Dispose();
            throw;
        }
    }

    private DiskFile OpenFile(string path, DiskFile? above)
    {
        DiskFile? file = null;
        try
        {
            file = _open(path);
            if (above is not null)
            {
                ImageReference.Check(above.Path, above.Handle, path, file.Handle, isWritten: false);
            }

            return file;
        }
        catch (UblkException) when (file is not null)
        {
            file.Dispose();
            throw;
        }
        catch (UblkException exception) when (_paths.Count > 1 && exception.Error == UblkError.PathNotFound)
        {
            throw new UblkException(UblkError.PathNotFound,
                $"There is no file {path}, which is behind {string.Join(" -> ", _paths.SkipLast(1))}.", Libc.ENOENT, "open");
        }
    }
}
