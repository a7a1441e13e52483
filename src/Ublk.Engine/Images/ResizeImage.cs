using Ublk.Files;
using Ublk.Images.Content;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;

namespace Ublk.Images;

/// <summary>Changes the size of an image's disk.</summary>
public sealed record ResizeImage : ImageOperation
{
    private const int Sector = 512;

    /// <summary>The new size in bytes.</summary>
    public required long Size { get; init; }

    /// <summary>Its format; null to see by how it begins.</summary>
    public ImageFormat? Format { get; init; }

    /// <summary>Whether the disk may lose its end.</summary>
    public bool Shrink { get; init; }

    /// <inheritdoc/>
    internal override ImageResult? Run(ImageProgress progress)
    {
        if (Size < 0 || Size % Sector != 0)
        {
            throw new UblkException(UblkError.InvalidArgument, $"A disk cannot have {Size} bytes. Choose a multiple of {Sector}.");
        }

        using DiskFile file = OpenForWriting(Path);
        if ((Format ?? ImageChain.Detect(file)) == ImageFormat.Raw)
        {
            RequireShrinkable(file.Length);
            file.SetLength(Size);
            file.Flush();
            return null;
        }

        using Qcow2Edit edit = Qcow2Edit.Open(file, progress);
        RequireShrinkable(edit.Image.Header.Size);
        if (edit.Image.Header.Size != Size)
        {
            new Qcow2Resize(edit, Size, OpenForWriting, SizeOf).Run(progress);
        }

        return null;
    }

    private static long SizeOf(BackingName under)
    {
        using ImageContent backing = ImageChain.Open(under.Path, under.Format, null, DiskFile.Open);
        return backing.Size;
    }

    private void RequireShrinkable(long size)
    {
        if (Size < size && !Shrink)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"{Path} has {size} bytes: shrinking it to {Size} loses the data beyond. Use -AllowShrink if that data is not needed.");
        }
    }
}
