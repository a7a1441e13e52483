using Ublk.Files;
using Ublk.Images.Content;
using Ublk.Qcow2.AtRest;

namespace Ublk.Images;

/// <summary>Makes an empty image.</summary>
public sealed record CreateImage : ImageOperation
{
    private const int Sector = 512;
    private const int PieceSize = 1 << 20;

    /// <summary>Size of the disk in bytes; null for that of the backing file.</summary>
    public long? Size { get; init; }

    /// <summary>What the image is like.</summary>
    public required NewImageOptions Options { get; init; }

    /// <summary>Whether a file that is there gives way to it.</summary>
    public bool Force { get; init; }

    /// <inheritdoc/>
    internal override ImageResult? Run(ImageProgress progress)
    {
        long size = Size ?? BackingSize();
        if (size < 0 || size % Sector != 0)
        {
            throw new UblkException(UblkError.InvalidArgument, $"A disk cannot have {size} bytes. Choose a multiple of {Sector}.");
        }

        progress.Begin($"Creating {Path}", Options.Preallocation == ImagePreallocation.Off ? 0 : size);
        using NewImage image = NewImage.Begin(Path, Options, size, Force);
        if (Options.Preallocation != ImagePreallocation.Off)
        {
            Preallocate(image, size, progress);
        }

        image.Finish();
        return null;
    }

    private void Preallocate(NewImage image, long size, ImageProgress progress)
    {
        // Where data will be is one run of the file but for the tables between, which may be set aside with it.
        if (image.Builder is { } builder)
        {
            for (long position = 0; position < size; position += builder.Layout.ClusterSize)
            {
                builder.Place(position, subclusters: 0);
                progress.Advance(Options.Preallocation == ImagePreallocation.Full
                    ? 0
                    : long.Min(builder.Layout.ClusterSize, size - position));
            }

            image.Build();
        }
        else if (Options.Preallocation == ImagePreallocation.Metadata)
        {
            throw new UblkException(UblkError.InvalidArgument, "A raw image has no metadata. Choose -Preallocation Falloc or Full.");
        }

        if (Options.Preallocation == ImagePreallocation.Falloc)
        {
            image.DataFile.Allocate(0, image.DataFile.Length);
        }
        else if (Options.Preallocation == ImagePreallocation.Full)
        {
            WriteZeroes(image.DataFile, progress);
        }
    }

    // What is a hole, and no table.
    private static void WriteZeroes(DiskFile file, ImageProgress progress)
    {
        byte[] zeroes = new byte[PieceSize];
        long length = file.Length;
        for (long position = 0; position < length;)
        {
            (long data, long dataEnd) = file.NextData(position);
            for (long hole = data >= length ? length : data; position < hole;)
            {
                int piece = (int)long.Min(PieceSize, hole - position);
                file.Write(zeroes.AsSpan(0, piece), position);
                position += piece;
                progress.Advance(piece);
            }

            position = long.Max(position, data >= length ? length : dataEnd);
        }
    }

    private long BackingSize()
    {
        if (Options.BackingFile is not { } name)
        {
            throw new UblkException(UblkError.InvalidArgument, "A new image needs a -Size, unless it has a backing file.");
        }

        using ImageContent backing = ImageChain.Open(ImageReference.Resolve(Path, name), Options.BackingFormat, null, DiskFile.Open);
        return backing.Size;
    }
}
