using Ublk.Targets.Qcow2.Format;

namespace Ublk.Targets.Qcow2;

/// <summary>Which file is under an image, and of which format.</summary>
/// <param name="Path">Its path.</param>
/// <param name="IsRaw">Whether it is raw; otherwise it is a qcow2 image.</param>
internal readonly record struct BackingName(string Path, bool IsRaw)
{
    private const string FilePrefix = "file:";

    /// <summary>Reads it from the header. A format is never guessed: a guest could make its raw disk look like an image of another file.</summary>
    /// <param name="imagePath">The image's path, which relative names are relative to.</param>
    /// <param name="header">Its header, which names a backing file.</param>
    /// <param name="formatOption">The format where the header does not say.</param>
    /// <exception cref="UblkException">The format is not given, or unknown; or the name is no path.</exception>
    public static BackingName Of(string imagePath, ImageHeader header, string? formatOption)
    {
        string name = header.BackingFile!;
        if (name.StartsWith(FilePrefix, StringComparison.Ordinal))
        {
            name = name[FilePrefix.Length..];
        }
        else if (name.StartsWith("json:", StringComparison.Ordinal) || name.Contains("://", StringComparison.Ordinal))
        {
            throw ImageError.NotSupported(imagePath, $"has the backing file '{name}', which is no path. Only files can be under an image here.");
        }

        string format = header.BackingFormat ?? formatOption
            ?? throw new UblkException(UblkError.InvalidArgument,
                $"{imagePath} does not say of which format its backing file {name} is, and it is not guessed. Use -BackingFormat Qcow2 or Raw.");
        bool isRaw = format.ToUpperInvariant() switch
        {
            // Names of qemu's protocols, which old images have here, mean the file as it is.
            "RAW" or "FILE" or "HOST_DEVICE" => true,
            "QCOW2" => false,
            _ => throw ImageError.NotSupported(imagePath, $"has a backing file of format '{format}'. Only qcow2 and raw can be under an image here."),
        };
        return new BackingName(System.IO.Path.Combine(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(imagePath))!, name), isRaw);
    }
}
