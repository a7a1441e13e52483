using Ublk.Files;
using Ublk.Images.Content;
using Ublk.Qcow2.Format;

namespace Ublk.Images;

/// <summary>The files that an image needs besides its own, by the names in its headers.</summary>
internal static class ImageFiles
{
    /// <summary>The data file and the chain of backing files behind an image, as far as they can be read now.</summary>
    /// <param name="path">The image, or another file: that has none.</param>
    public static IReadOnlyList<string> Behind(string path)
    {
        List<string> files = [];
        DiskFile? file = null;
        try
        {
            // Without a format in the header, a backing file may have a chain of its own.
            BackingChain chain = new(ImageFormat.Qcow2, canLeaveOut: false);
            file = DiskFile.Open(path);
            while (ImageChain.Detect(file) == ImageFormat.Qcow2)
            {
                ImageHeader header = ImageTables.ReadHeader(file);
                if (header.Layout.HasDataFile && header.DataFile is { } data)
                {
                    files.Add(ImageReference.Resolve(file.Path, data));
                }

                if (header.BackingFile is null)
                {
                    break;
                }

                (DiskFile backing, ImageFormat format) = chain.OpenBacking(file, header, name =>
                {
                    files.Add(name.Path);
                    return DiskFile.Open(name.Path);
                });
                file.Dispose();
                file = backing;
                if (format != ImageFormat.Qcow2)
                {
                    break;
                }
            }
        }
        catch (UblkException)
        {
            // What is missing or malformed is an error when the image is opened.
        }
        finally
        {
            file?.Dispose();
        }

        return files;
    }
}
