using Ublk.Files;
using Ublk.Images.Content;
using Ublk.Qcow2.AtRest;

namespace Ublk.Images;

/// <summary>The files that an image needs besides its own, by the names in its headers.</summary>
internal static class ImageFiles
{
    /// <summary>The data file and the chain of backing files behind an image, as far as they can be read now.</summary>
    /// <param name="path">The image, or another file: that has none.</param>
    public static IReadOnlyList<string> Behind(string path)
    {
        List<string> files = [];
        Add(path, files);
        return files;
    }

    private static void Add(string path, List<string> files)
    {
        try
        {
            using DiskFile file = DiskFile.Open(path);
            if (ImageChain.Detect(file) != ImageFormat.Qcow2)
            {
                return;
            }

            using Qcow2File image = Qcow2File.Read(file);
            if (image.HasDataFile && image.Header.DataFile is { } data)
            {
                files.Add(ImageReference.Resolve(path, data));
            }

            if (image.Header.BackingFile is { } name && ImageReference.Resolve(path, name) is var backing
                && !files.Exists(known => known == backing || FileIdentity.IsSame(known, backing)))
            {
                files.Add(backing);
                if (image.Header.BackingFormat is null or "qcow2")
                {
                    Add(backing, files);
                }
            }
        }
        catch (UblkException)
        {
            // What is missing or malformed is an error when the image is opened.
        }
    }
}
