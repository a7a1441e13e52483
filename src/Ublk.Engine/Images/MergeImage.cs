using Ublk.Files;
using Ublk.Images.Content;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;

namespace Ublk.Images;

/// <summary>Writes the data of an image into its backing file, which then holds the same disk.</summary>
/// <remarks>The image is not changed, so a crash on the way loses nothing: run it again.</remarks>
public sealed record MergeImage : ImageOperation
{
    private const int PieceSize = 1 << 20;

    /// <summary>The format of the backing file where the header does not name it; null to refuse that.</summary>
    public ImageFormat? BackingFormat { get; init; }

    /// <summary>The backing file of an image.</summary>
    /// <param name="path">The image.</param>
    /// <param name="backingFormat">The format where the header does not name it.</param>
    /// <exception cref="UblkException">It is no qcow2 image, or has no backing file.</exception>
    internal static BackingName BackingOf(string path, ImageFormat? backingFormat)
    {
        using Qcow2File image = Qcow2File.Read(DiskFile.Open(path));
        return image.Header.BackingFile is null
            ? throw new UblkException(UblkError.InvalidArgument, $"{path} has no backing file to merge into.")
            : BackingName.Of(path, image.Header, backingFormat);
    }

    /// <inheritdoc/>
    internal override ImageResult? Run(ImageProgress progress)
    {
        BackingName backing = BackingOf(Path, BackingFormat);
        using ImageContent image = ImageChain.OpenAlone(Path, DiskFile.OpenForReading);
        image.RequireReadable();
        Grow(backing, image.Size, progress);
        using OpenDisk disk = new(backing.Path, backing.Format, BackingFormat, readOnly: false);
        progress.Begin($"Merging {Path} into {backing.Path}", image.Size);
        byte[] piece = new byte[PieceSize];
        foreach (ContentExtent extent in ContentExtent.Join(image.Map()))
        {
            for (long start = extent.Start; start < extent.End && extent.Kind != ExtentKind.Unallocated; start += PieceSize)
            {
                progress.Stop.ThrowIfCancellationRequested();
                Span<byte> data = piece.AsSpan(0, (int)long.Min(PieceSize, extent.End - start));
                if (extent.Kind is ExtentKind.Data or ExtentKind.Compressed)
                {
                    image.Read(extent.Clip(start, start + data.Length), data);
                    disk.Write(start, data);
                }
                else
                {
                    disk.WriteZeroes(start, data.Length);
                }
            }

            progress.Advance(extent.Length);
        }

        disk.Finish();
        return null;
    }

    private static void Grow(BackingName backing, long size, ImageProgress progress)
    {
        bool isSmaller;
        using (ImageContent below = ImageChain.Open(backing.Path, backing.Format, null, DiskFile.Open))
        {
            isSmaller = below.Size < size;
        }

        if (isSmaller)
        {
            _ = new ResizeImage { Path = backing.Path, Format = backing.Format, Size = size }.Run(progress);
        }
    }
}
