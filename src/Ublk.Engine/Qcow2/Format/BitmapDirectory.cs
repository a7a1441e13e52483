using System.Buffers.Binary;
using Ublk.Interop;

namespace Ublk.Qcow2.Format;

/// <summary>One persistent bitmap, as the bitmap directory has it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="TableOffset">Where its table is.</param>
/// <param name="TableSize">Entries of eight bytes in its table.</param>
/// <param name="Flags">1: it was not saved as it should; 2: it tracks writes from the next opening on.</param>
/// <param name="Type">1: it tracks writes; there is no other type.</param>
/// <param name="GranularityBits">Binary logarithm of the bytes of the disk that one bit stands for.</param>
internal sealed record PersistentBitmap(string Name, long TableOffset, uint TableSize, uint Flags, int Type, int GranularityBits)
{
    private const uint InUse = 1;

    /// <summary>Whether it was saved when it was used last. One that was not is of no use.</summary>
    public bool IsConsistent => (Flags & InUse) == 0;
}

/// <summary>Where an image's persistent bitmaps are: the bitmaps extension and the directory it points to.</summary>
/// <param name="Count">The bitmaps.</param>
/// <param name="Size">Bytes of the directory.</param>
/// <param name="Offset">Where the directory is.</param>
internal sealed record BitmapDirectory(int Count, long Size, long Offset)
{
    /// <summary>Bytes of the largest directory.</summary>
    public const long MaxBytes = 64 << 20;

    private const int ExtensionLength = 24;
    private const int FixedLength = 24;

    // Bounds of qemu: block/qcow2-bitmap.c.
    private const long MaxBitmapBytes = 512 << 20;
    private const int MinGranularityBits = 9;
    private const int MaxGranularityBits = 31;
    private const int MaxNameLength = 1023;
    private const uint KnownFlags = 3;
    private const int TracksWrites = 1;

    /// <summary>The directory of an image; null where it has no bitmaps, or none that a later write left valid.</summary>
    /// <exception cref="UblkException">The extension is malformed.</exception>
    public static BitmapDirectory? Of(ImageHeader header, string path)
    {
        if (!header.Autoclear.HasFlag(AutoclearFeatures.Bitmaps) || header.Find(HeaderExtension.Bitmaps) is not { Data: { } data })
        {
            return null;
        }

        ImageError.ThrowIf(data.Length < ExtensionLength, path, $"its bitmaps extension has only {data.Length} bytes");
        BitmapDirectory directory = new(
            BinaryPrimitives.ReadInt32BigEndian(data),
            BinaryPrimitives.ReadInt64BigEndian(data.AsSpan(8)),
            BinaryPrimitives.ReadInt64BigEndian(data.AsSpan(16)));
        return directory is { Count: > 0 and <= 65535, Size: > 0 and <= MaxBytes, Offset: > 0 and <= L1Entry.MaxOffset }
            && header.Layout.IsAligned(directory.Offset)
            ? directory
            : throw ImageError.Invalid(path, "its bitmap directory has an invalid host offset, or is too large");
    }

    /// <summary>Reads the directory's entries.</summary>
    /// <param name="bytes">The directory.</param>
    /// <param name="layout">The image's layout.</param>
    /// <param name="path">The image, for errors.</param>
    /// <exception cref="UblkException">An entry does not fit, or is out of bounds.</exception>
    public IReadOnlyList<PersistentBitmap> Parse(ReadOnlySpan<byte> bytes, ClusterLayout layout, string path)
    {
        List<PersistentBitmap> bitmaps = [];
        for (int index = 0; index < Count; index++)
        {
            RequireInside(bytes.Length >= FixedLength, path, index);
            int nameLength = BinaryPrimitives.ReadUInt16BigEndian(bytes[18..]);
            long entryLength = FixedLength + BinaryPrimitives.ReadUInt32BigEndian(bytes[20..]) + nameLength;
            RequireInside(entryLength <= bytes.Length, path, index);
            PersistentBitmap bitmap = new(
                RawText.Of(bytes.Slice((int)entryLength - nameLength, nameLength)),
                BinaryPrimitives.ReadInt64BigEndian(bytes),
                BinaryPrimitives.ReadUInt32BigEndian(bytes[8..]),
                BinaryPrimitives.ReadUInt32BigEndian(bytes[12..]),
                bytes[16],
                bytes[17]);
            bitmaps.Add(IsValid(bitmap, layout) && nameLength is > 0 and <= MaxNameLength
                ? bitmap
                : throw ImageError.Invalid(path, $"entry {index} of its bitmap directory has a number that is out of bounds"));
            bytes = bytes[(int)long.Min((entryLength + 7) & ~7L, bytes.Length)..];
        }

        RequireApart(bitmaps, path);
        return bitmaps;
    }

    private static bool IsValid(PersistentBitmap bitmap, ClusterLayout layout) =>
        bitmap is { TableSize: > 0, TableOffset: > 0 and <= L1Entry.MaxOffset, Type: TracksWrites }
        && bitmap.GranularityBits is >= MinGranularityBits and <= MaxGranularityBits && (bitmap.Flags & ~KnownFlags) == 0
        && layout.IsAligned(bitmap.TableOffset) && (long)bitmap.TableSize << layout.ClusterBits <= MaxBitmapBytes;

    // Many tables in one place would take long to follow.
    private static void RequireApart(IReadOnlyList<PersistentBitmap> bitmaps, string path)
    {
        long end = 0;
        foreach (PersistentBitmap bitmap in bitmaps.OrderBy(bitmap => bitmap.TableOffset))
        {
            ImageError.ThrowIf(bitmap.TableOffset < end, path, $"the table of its bitmap '{bitmap.Name}' is where another is");
            end = bitmap.TableOffset + (bitmap.TableSize * 8L);
        }
    }

    private static void RequireInside(bool isInside, string path, int index) =>
        ImageError.ThrowIf(!isInside, path, $"entry {index} of its bitmap directory is beyond the directory's end");
}
