using Ublk.Files;
using Ublk.Images.Content;
using Ublk.Qcow2.AtRest;

namespace Ublk.Images;

/// <summary>Gives the room back that an image does not need: zeroes that are stored, and clusters that belong to nothing.</summary>
public sealed record OptimizeImage : ImageOperation
{
    private const int PieceSize = 1 << 20;

    /// <summary>Its format; null to see by how it begins.</summary>
    public ImageFormat? Format { get; init; }

    /// <inheritdoc/>
    internal override ImageResult? Run(ImageProgress progress)
    {
        using DiskFile file = OpenForWriting(Path);
        if ((Format ?? ImageChain.Detect(file)) == ImageFormat.Raw)
        {
            PunchZeroes(file, 0, file.Length, progress);
            file.Flush();
            return null;
        }

        using Qcow2Edit edit = Qcow2Edit.Open(file, progress);
        new Qcow2Optimize(edit).Run(progress);
        return null;
    }

    // Block by block, where the file system has a place for them.
    private static void PunchZeroes(DiskFile file, long position, long end, ImageProgress progress)
    {
        const int Block = 4096;
        byte[] piece = new byte[PieceSize];
        progress.Begin($"Optimizing {file.Path}", end - position);
        while (position < end)
        {
            (long start, long dataEnd) = file.NextData(position);
            progress.Advance(long.Min(start, end) - position);
            for (position = start; position < dataEnd;)
            {
                Span<byte> content = piece.AsSpan(0, (int)long.Min(PieceSize, dataEnd - position));
                file.Read(content, position);
                for (int block = 0; block + Block <= content.Length; block += Block)
                {
                    if (!content.Slice(block, Block).ContainsAnyExcept((byte)0) && !file.TryPunchHole(position + block, Block))
                    {
                        throw new UblkException(UblkError.NotSupported,
                            $"The file system of {file.Path} has no holes, so no room can be given back.");
                    }
                }

                position += content.Length;
                progress.Advance(content.Length);
            }
        }
    }
}
