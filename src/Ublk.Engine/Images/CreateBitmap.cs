using System.Numerics;
using Ublk.Interop;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;

namespace Ublk.Images;

/// <summary>Adds an enabled persistent bitmap to an image: it records what changes from now on.</summary>
public sealed record CreateBitmap : ImageOperation
{
    /// <summary>Bytes of the disk that one bit stands for, by default.</summary>
    public const long DefaultGranularity = 64 << 10;

    /// <summary>The bitmap's name.</summary>
    public required string Name { get; init; }

    /// <summary>Bytes of the disk that one bit stands for: a power of two from 512 to 2^31.</summary>
    public long Granularity { get; init; } = DefaultGranularity;

    /// <summary>Whether everything counts as changed: nothing is known of the disk before.</summary>
    public bool AllChanged { get; init; }

    /// <summary>Whether a bitmap of this name gives way.</summary>
    public bool Replace { get; init; }

    /// <inheritdoc/>
    internal override ImageResult? Run(ImageProgress progress)
    {
        RequireValid();
        using Qcow2Edit edit = Qcow2Edit.Open(OpenForWriting(Path), progress);
        IReadOnlyList<PersistentBitmap> bitmaps = edit.Image.ReadBitmaps();
        if (Replace && bitmaps.FirstOrDefault(bitmap => bitmap.Name == Name) is { } former)
        {
            Bitmaps.Drop(edit, former);
            bitmaps = [.. bitmaps.Where(bitmap => bitmap != former)];
        }

        int granularityBits = BitOperations.Log2((ulong)Granularity);
        RequirePossible(edit.Image, bitmaps, granularityBits);
        edit.Commit(Bitmaps.Replace(edit, [.. bitmaps, Bitmaps.Add(edit, Name, BitmapFlags.Enabled, granularityBits, AllChanged)]));
        return null;
    }

    private void RequireValid()
    {
        if (RawText.ToBytes(Name).Length is 0 or > PersistentBitmap.MaxNameLength)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"The name of a bitmap has 1 to {PersistentBitmap.MaxNameLength} bytes. Choose another name.");
        }

        if (!BitOperations.IsPow2(Granularity) || BitOperations.Log2((ulong)Granularity)
            is < PersistentBitmap.MinGranularityBits or > PersistentBitmap.MaxGranularityBits)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"A bitmap cannot have a granularity of {Granularity} bytes. Choose a power of two from 512 bytes to 2 GiB.");
        }
    }

    private void RequirePossible(Qcow2File image, IReadOnlyList<PersistentBitmap> bitmaps, int granularityBits)
    {
        if (image.Header.Version < 3)
        {
            throw ImageError.NotSupported(Path, "has version 2 of the format, which has no bitmaps. Convert it: Convert-UblkImage");
        }

        if (bitmaps.Any(bitmap => bitmap.Name == Name))
        {
            throw new UblkException(UblkError.BitmapExists,
                $"{Path} has a bitmap '{Name}' already. Choose another name, or begin it anew: Clear-UblkImageBitmap");
        }

        if (image.Header.Size == 0)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"The disk of {Path} has no bytes, so nothing of it can change. Resize it first: Resize-UblkImage");
        }

        long clusters = bitmaps.Sum(bitmap => bitmap.TableSize)
            + PersistentBitmap.ClustersFor(image.Header.Size, granularityBits, image.Layout);
        if (clusters << image.Header.ClusterBits > BitmapDirectory.MaxMemory)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"The bitmaps of {Path} would take more than {BitmapDirectory.MaxMemory >> 20} MiB of memory. Choose a larger "
                    + "-Granularity.");
        }
    }
}
