using Ublk.Files;
using Ublk.Images.Content;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;

namespace Ublk.Images;

/// <summary>Gives an image another backing file, or none.</summary>
/// <remarks>
/// The content of the disk stays the same: where the backing files differ, the image first gets the data of the old one. Only then does
/// a write of one sector change the header, so a crash leaves the image with the old backing file or the new one.
/// </remarks>
public sealed record RebaseImage : ImageOperation
{
    private const int Sector = 512;
    private const int PieceSize = 1 << 20;

    /// <summary>The backing file as the header is to name it; null for none.</summary>
    public string? BackingFile { get; init; }

    /// <summary>The format of the new backing file; null only if there is none.</summary>
    public ImageFormat? BackingFormat { get; init; }

    /// <summary>Whether to change the header alone. The content of the disk then changes with the backing file.</summary>
    public bool HeaderOnly { get; init; }

    /// <inheritdoc/>
    internal override ImageResult? Run(ImageProgress progress)
    {
        string? backing = BackingFile is null ? null : ImageReference.Resolve(Path, BackingFile);
        if (backing is not null)
        {
            RequireUsable(backing);
        }

        if (!HeaderOnly)
        {
            RequireNoSnapshots();
            CopyDifferences(backing, progress);
        }

        using Qcow2File image = Qcow2File.Read(OpenForWriting(Path));
        image.BeginWriting();
        image.ReplaceHeader(Rename(image.Header));
        return null;
    }

    private void RequireUsable(string backing)
    {
        if (BackingFormat is null)
        {
            throw new UblkException(UblkError.InvalidArgument,
                "The format of a backing file is never guessed. Specify it: -BackingFormat Qcow2, or -BackingFormat Raw");
        }

        using ImageContent chain = ImageChain.Open(backing, BackingFormat, null, DiskFile.Open);
        for (ImageContent? layer = chain; layer is not null; layer = layer.Backing)
        {
            if (FileIdentity.IsSame(layer.File.Path, Path))
            {
                throw new UblkException(UblkError.InvalidArgument,
                    $"{Path} cannot be its own backing file: {backing} leads back to it. Choose another -BackingPath.");
            }
        }
    }

    // Their content depends on the backing file as well, and only the disk's is compared.
    private void RequireNoSnapshots()
    {
        using Qcow2File image = Qcow2File.Read(DiskFile.Open(Path));
        if (image.Header.SnapshotCount > 0)
        {
            throw ImageError.NotSupported(Path,
                "has snapshots, which read from the backing file, too. Remove them first, or use -HeaderOnly if the new file has the same "
                    + "content.");
        }
    }

    private void CopyDifferences(string? backing, ImageProgress progress)
    {
        using OpenDisk disk = new(Path, ImageFormat.Qcow2, null, readOnly: false);
        using OpenDisk? next = backing is null ? null : new OpenDisk(backing, BackingFormat!.Value, null, readOnly: true);
        (int unit, List<ContentExtent> holes) = FindHoles();
        progress.Begin($"Comparing the backing files of {Path}", holes.Sum(hole => hole.Length));
        byte[] old = new byte[PieceSize];
        byte[] other = new byte[PieceSize];
        foreach (ContentExtent hole in holes)
        {
            for (long start = hole.Start; start < hole.End;)
            {
                progress.Stop.ThrowIfCancellationRequested();
                int length = (int)(long.Min(hole.End, (start / PieceSize * PieceSize) + PieceSize) - start);
                disk.Read(start, old.AsSpan(0, length));
                if (next is not null)
                {
                    next.Read(start, other.AsSpan(0, length));
                }

                for (int position = 0, part; position < length; position += part)
                {
                    part = (int)long.Min(length - position, unit - ((start + position) % unit));
                    ReadOnlySpan<byte> wanted = old.AsSpan(position, part);
                    if (!wanted.SequenceEqual(other.AsSpan(position, part)))
                    {
                        // Zeroes as data, too: what the old backing file lacks is not marked as zeroes in the image.
                        disk.Write(start + position, wanted);
                    }
                }

                start += length;
                progress.Advance(length);
            }
        }

        disk.Finish();
    }

    // What the image itself does not have, and the bytes of a cluster. Read before the first write, while the disk has the file's lock.
    private (int ClusterSize, List<ContentExtent> Holes) FindHoles()
    {
        using ImageContent alone = ImageChain.OpenAlone(Path, DiskFile.Open);
        List<ContentExtent> holes =
            [.. ContentExtent.Join(alone.Map()).Where(extent => extent.Kind == ExtentKind.Unallocated).Select(ToSectors)];
        using Qcow2File image = Qcow2File.Read(DiskFile.Open(Path));
        return (image.Layout.ClusterSize, holes);
    }

    private static ContentExtent ToSectors(ContentExtent extent) =>
        extent with { Length = (extent.Length + Sector - 1) / Sector * Sector };

    private ImageHeader Rename(ImageHeader header)
    {
        HeaderExtension[] others = [.. header.Extensions.Where(extension => extension.Type != HeaderExtension.BackingFormat)];
        HeaderExtension[] format = BackingFile is null
            ? []
            : [HeaderExtension.OfText(HeaderExtension.BackingFormat, BackingFormat == ImageFormat.Raw ? "raw" : "qcow2")];
        return header with { BackingFile = BackingFile, BackingFileOffset = 0, Extensions = [.. format, .. others] };
    }
}
