using System.Buffers.Binary;
using System.Text;

namespace Ublk.Targets.Qcow2.Format;

/// <summary>One persistent bitmap, as the bitmap directory has it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="TableOffset">Where its table is.</param>
/// <param name="TableSize">Entries of eight bytes in its table.</param>
/// <param name="Flags">1: it was not saved as it should; 2: it tracks writes from the next opening on.</param>
/// <param name="GranularityBits">Binary logarithm of the bytes of the disk that one bit stands for.</param>
internal sealed record PersistentBitmap(string Name, long TableOffset, int TableSize, uint Flags, int GranularityBits);

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

    /// <summary>The directory of an image; null where it has no bitmaps, or none that a later write left valid.</summary>
    /// <exception cref="UblkException">The extension is malformed.</exception>
    public static BitmapDirectory? Of(ImageHeader header, string path)
    {
        if (!header.Autoclear.HasFlag(AutoclearFeatures.Bitmaps) || header.Find(HeaderExtension.Bitmaps) is not { Data: { } data })
        {
            return null;
        }

        if (data.Length < ExtensionLength)
        {
            throw ImageError.Invalid(path, $"its bitmaps extension has only {data.Length} bytes");
        }

        BitmapDirectory directory = new(
            BinaryPrimitives.ReadInt32BigEndian(data),
            BinaryPrimitives.ReadInt64BigEndian(data.AsSpan(8)),
            BinaryPrimitives.ReadInt64BigEndian(data.AsSpan(16)));
        bool isValid = directory is { Count: > 0 and <= 65535, Size: > 0 and <= MaxBytes, Offset: > 0 and <= L1Entry.MaxOffset }
            && header.Layout.IsAligned(directory.Offset);
        return isValid ? directory : throw ImageError.Invalid(path, "its bitmap directory is where none can be, or too large");
    }

    /// <summary>Reads the directory's entries.</summary>
    /// <param name="bytes">The directory.</param>
    /// <param name="path">The image, for errors.</param>
    /// <exception cref="UblkException">An entry does not fit.</exception>
    public IReadOnlyList<PersistentBitmap> Parse(ReadOnlySpan<byte> bytes, string path)
    {
        List<PersistentBitmap> bitmaps = [];
        for (int index = 0; index < Count; index++)
        {
            if (bytes.Length < FixedLength)
            {
                throw Truncated(path, index);
            }

            int nameLength = BinaryPrimitives.ReadUInt16BigEndian(bytes[18..]);
            long entryLength = FixedLength + BinaryPrimitives.ReadUInt32BigEndian(bytes[20..]) + nameLength;
            if (entryLength > bytes.Length)
            {
                throw Truncated(path, index);
            }

            bitmaps.Add(new PersistentBitmap(
                Encoding.UTF8.GetString(bytes.Slice((int)entryLength - nameLength, nameLength)),
                BinaryPrimitives.ReadInt64BigEndian(bytes),
                BinaryPrimitives.ReadInt32BigEndian(bytes[8..]),
                BinaryPrimitives.ReadUInt32BigEndian(bytes[12..]),
                bytes[17]));
            bytes = bytes[(int)long.Min((entryLength + 7) & ~7L, bytes.Length)..];
        }

        return bitmaps;
    }

    private static UblkException Truncated(string path, int index) =>
        ImageError.Invalid(path, $"entry {index} of its bitmap directory is beyond the directory's end");
}
