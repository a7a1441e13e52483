using Ublk.Files;
using Ublk.Images.Content;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;

namespace Ublk.Images;

/// <summary>Compares the disks in two images.</summary>
public sealed record CompareImage : ImageOperation
{
    private const int PieceSize = 1 << 20;

    /// <summary>The format of the image; null to detect it.</summary>
    public ImageFormat? Format { get; init; }

    /// <summary>The other image, by its absolute path.</summary>
    public required string Other { get; init; }

    /// <summary>The format of the other image; null to detect it.</summary>
    public ImageFormat? OtherFormat { get; init; }

    /// <summary>The format of backing files where a header does not name it; null to refuse those.</summary>
    public ImageFormat? BackingFormat { get; init; }

    /// <inheritdoc/>
    internal override ImageResult Run(ImageProgress progress)
    {
        using ImageContent one = ImageChain.Open(Path, Format, BackingFormat, DiskFile.OpenForReading);
        using ImageContent other = ImageChain.Open(Other, OtherFormat, BackingFormat, DiskFile.OpenForReading);
        one.RequireReadable();
        other.RequireReadable();
        progress.Begin($"Comparing {Path} with {Other}", long.Max(one.Size, other.Size));
        return new ImageComparison
        {
            Path = Path,
            OtherPath = Other,
            Size = one.Size,
            OtherSize = other.Size,
            FirstDifference = FindDifference(one, other, progress),
        };
    }

    // Where one of the disks has ended the other must read as zeroes.
    private static long? FindDifference(ImageContent one, ImageContent other, ImageProgress progress)
    {
        using ExtentReader first = new(one);
        using ExtentReader second = new(other);
        long end = long.Max(one.Size, other.Size);
        byte[] left = new byte[PieceSize];
        byte[] right = new byte[PieceSize];
        for (long position = 0; position < end;)
        {
            progress.Stop.ThrowIfCancellationRequested();
            long run = long.Min(end - position, long.Min(first.RunFrom(position), second.RunFrom(position)));
            if (first.IsZero && second.IsZero)
            {
                position += run;
                progress.Advance(run);
                continue;
            }

            int length = (int)long.Min(run, PieceSize);
            first.Read(position, left.AsSpan(0, length));
            second.Read(position, right.AsSpan(0, length));
            int same = left.AsSpan(0, length).CommonPrefixLength(right.AsSpan(0, length));
            if (same < length)
            {
                return position + same;
            }

            position += length;
            progress.Advance(length);
        }

        return null;
    }

    /// <summary>Reads a disk from its beginning to its end, an extent after the other.</summary>
    private sealed class ExtentReader(ImageContent image) : IDisposable
    {
        private readonly IEnumerator<ContentExtent> _extents = ContentExtent.Join(image.Map()).GetEnumerator();
        private ContentExtent _extent;

        /// <summary>Whether the current extent reads as zeroes. True beyond the end of the disk.</summary>
        public bool IsZero => _extent.Length == 0 || _extent.Kind is not (ExtentKind.Data or ExtentKind.Compressed);

        /// <summary>Moves to the extent at a position, which never decreases; returns the bytes from there to the extent's end.</summary>
        public long RunFrom(long position)
        {
            while (position >= _extent.End)
            {
                if (!_extents.MoveNext())
                {
                    _extent = default;
                    return long.MaxValue;
                }

                _extent = _extents.Current;
            }

            return _extent.End - position;
        }

        public void Read(long position, Span<byte> buffer)
        {
            if (IsZero)
            {
                buffer.Clear();
            }
            else
            {
                _extent.Layer!.Read(_extent.Clip(position, position + buffer.Length), buffer);
            }
        }

        public void Dispose() => _extents.Dispose();
    }
}
