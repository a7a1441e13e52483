using Ublk.Files;

namespace Ublk.Qcow2.Format;

/// <summary>Which file is under an image, and of which format.</summary>
/// <param name="Path">Its path.</param>
/// <param name="Format">Its format.</param>
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
                $"{imagePath} does not say of which format its backing file {header.BackingFile} is, and it is not guessed. "
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
