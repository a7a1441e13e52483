using Ublk.Files;

namespace Ublk.Qcow2.Format;

/// <summary>Opens the files that a chain of images leads to, by the names in their headers, from the top down.</summary>
/// <param name="formatOption">The format of backing files where the header does not name it; null to refuse those.</param>
/// <param name="canLeaveOut">Whether errors suggest to go without backing files.</param>
internal sealed class BackingChain(ImageFormat? formatOption, bool canLeaveOut)
{
    private readonly List<string> _images = [];

    /// <summary>Opens the file under an image.</summary>
    /// <returns>The file and its format.</returns>
    /// <exception cref="UblkException">
    /// It is missing, of an unknown format, or not for the image to lead to; or the chain leads back to itself.
    /// </exception>
    public (TFile File, ImageFormat Format) OpenBacking<TFile>(IReadableFile image, ImageHeader header, Func<BackingName, TFile> open)
        where TFile : IReadableFile, IDisposable
    {
        BackingName name = BackingName.Of(image.Path, header, formatOption);
        _images.Add(Path.GetFullPath(image.Path));
        string chain = $"{string.Join(" -> ", _images)} -> {name.Path}";
        if (_images.Exists(known => known == name.Path || FileIdentity.IsSame(known, name.Path)))
        {
            throw new UblkException(UblkError.InvalidImage, $"The chain of backing files is a loop: {chain}. "
                + (canLeaveOut ? "Use -NoBacking, or correct it with qemu-img rebase." : "Correct it with qemu-img rebase."));
        }

        string missing = $"There is no backing file {name.Path} (chain: {chain}). "
            + (canLeaveOut ? "Put it back, or use -NoBacking to go without." : "Put it back.");
        return (Open(image, name.Path, isWritten: false, _ => open(name), missing), name.Format);
    }

    /// <summary>Opens an image's external data file, for reading or for writing as well.</summary>
    /// <exception cref="UblkException">The header does not name it; it is missing, or not for the image to lead to.</exception>
    public static TFile OpenData<TFile>(IReadableFile image, ImageHeader header, bool isWritten, Func<string, TFile> open)
        where TFile : IReadableFile, IDisposable
    {
        string name = header.DataFile ?? throw ImageError.Invalid(image.Path, "its data is in another file, which it does not name");
        string path = ImageReference.Resolve(image.Path, name);
        return Open(image, path, isWritten, open, $"There is no file {path}, which has the data of {image.Path}.");
    }

    private static TFile Open<TFile>(IReadableFile image, string path, bool isWritten, Func<string, TFile> open, string missing)
        where TFile : IReadableFile, IDisposable
    {
        TFile file;
        try
        {
            file = open(path);
        }
        catch (UblkException exception) when (exception.Error == UblkError.PathNotFound)
        {
            throw new UblkException(UblkError.PathNotFound, missing, exception.Errno, "open");
        }

        try
        {
            ImageReference.Check(image.Path, image.Handle, path, file.Handle, isWritten);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }
}

/// <summary>Which file is under an image, and of which format.</summary>
internal readonly record struct BackingName(string Path, ImageFormat Format)
{
    /// <summary>
    /// Reads it from the header. A format is never guessed: a guest could make its raw disk look like an image of another file.
    /// </summary>
    /// <param name="imagePath">The image's path, which relative names are relative to.</param>
    /// <param name="header">Its header, which names a backing file.</param>
    /// <param name="formatOption">The format where the header does not say.</param>
    /// <exception cref="UblkException">The format is not given, or unknown; or the name is no path.</exception>
    public static BackingName Of(string imagePath, ImageHeader header, ImageFormat? formatOption)
    {
        string path = ImageReference.Resolve(imagePath, header.BackingFile!);
        ImageFormat format = header.BackingFormat switch
        {
            null => formatOption ?? throw new UblkException(UblkError.InvalidArgument,
                $"{imagePath} does not record the format of its backing file {header.BackingFile}, which is never guessed. "
                    + "Use -BackingFormat Qcow2 or Raw."),

            // Names of qemu's protocols, which old images have here, mean the file as it is.
            "raw" or "file" or "host_device" => ImageFormat.Raw,
            "qcow2" => ImageFormat.Qcow2,
            string other => throw ImageError.NotSupported(imagePath,
                $"has a backing file of format '{other}'. Only qcow2 and raw can be under an image here."),
        };
        return new BackingName(path, format);
    }
}
