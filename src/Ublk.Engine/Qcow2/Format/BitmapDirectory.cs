using System.Buffers.Binary;
using Ublk.Interop;

namespace Ublk.Qcow2.Format;

/// <summary>One persistent bitmap, as the bitmap directory has it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="TableOffset">Where its table is.</param>
/// <param name="TableSize">Entries of eight bytes in its table.</param>
/// <param name="Flags">Whether it is in use, and whether it is enabled.</param>
/// <param name="Type">1: it tracks writes; there is no other type.</param>
/// <param name="GranularityBits">Binary logarithm of the bytes of the disk that one bit stands for.</param>
internal sealed record PersistentBitmap(
    string Name, long TableOffset, uint TableSize, BitmapFlags Flags, int Type, int GranularityBits)
{
    /// <summary>Bytes of a directory's entry before its extra data and its name.</summary>
    public const int FixedLength = 24;

    /// <summary>The longest name, in bytes.</summary>
    public const int MaxNameLength = 1023;

    /// <summary>The least binary logarithm of a granularity, as in qemu.</summary>
    public const int MinGranularityBits = 9;

    /// <summary>The greatest one.</summary>
    public const int MaxGranularityBits = 31;

    /// <summary>The only type of bitmap.</summary>
    public const int TracksWrites = 1;

    private const int FlagsField = 12;

    /// <summary>Data of a later version of the format. A bitmap that has some is not used.</summary>
    public byte[] ExtraData { get; init; } = [];

    /// <summary>Whether it was saved when it was used last. One that was not is of no use.</summary>
    public bool IsConsistent => !Flags.HasFlag(BitmapFlags.InUse);

    /// <summary>Whether changes of the disk are to be entered in it.</summary>
    public bool IsEnabled => Flags.HasFlag(BitmapFlags.Enabled);

    /// <summary>Bytes of its entry in the directory, padding included.</summary>
    public int EntryLength => (FixedLength + ExtraData.Length + RawText.ToBytes(Name).Length + 7) & ~7;

    /// <summary>How many bits a disk has.</summary>
    /// <param name="diskSize">Size of the disk in bytes.</param>
    /// <param name="granularityBits">Binary logarithm of the bytes of a bit.</param>
    public static long BitsFor(long diskSize, int granularityBits) => ((diskSize - 1) >> granularityBits) + 1;

    /// <summary>How many clusters, and entries of a table, the bits of a disk need.</summary>
    public static long ClustersFor(long diskSize, int granularityBits, ClusterLayout layout) =>
        layout.ClustersFor((BitsFor(diskSize, granularityBits) + 7) / 8);

    /// <summary>Writes its entry of the directory; the room must be zeroed.</summary>
    public void WriteTo(Span<byte> room)
    {
        byte[] name = RawText.ToBytes(Name);
        BinaryPrimitives.WriteInt64BigEndian(room, TableOffset);
        BinaryPrimitives.WriteUInt32BigEndian(room[8..], TableSize);
        WriteFlags(room, Flags);
        room[16] = (byte)Type;
        room[17] = (byte)GranularityBits;
        BinaryPrimitives.WriteUInt16BigEndian(room[18..], (ushort)name.Length);
        BinaryPrimitives.WriteInt32BigEndian(room[20..], ExtraData.Length);
        ExtraData.CopyTo(room[FixedLength..]);
        name.CopyTo(room[(FixedLength + ExtraData.Length)..]);
    }

    /// <summary>Changes the flags of an entry of the directory.</summary>
    public static void WriteFlags(Span<byte> entry, BitmapFlags flags) =>
        BinaryPrimitives.WriteUInt32BigEndian(entry[FlagsField..], (uint)flags);
}

/// <summary>Flags of a persistent bitmap.</summary>
[Flags]
internal enum BitmapFlags : uint
{
    None = 0,

    /// <summary>A program has it in memory, or had and did not save it.</summary>
    InUse = 1 << 0,

    /// <summary>Whoever writes the disk enters the changes; the format calls it "auto".</summary>
    Enabled = 1 << 1,

    /// <summary>Whoever does not know the extra data may use the bitmap all the same.</summary>
    ExtraDataCompatible = 1 << 2,

    /// <summary>All that this engine knows.</summary>
    Known = InUse | Enabled | ExtraDataCompatible,
}

/// <summary>Where an image's persistent bitmaps are: the bitmaps extension and the directory it points to.</summary>
/// <param name="Count">The bitmaps.</param>
/// <param name="Size">Bytes of the directory.</param>
/// <param name="Offset">Where the directory is.</param>
internal sealed record BitmapDirectory(int Count, long Size, long Offset)
{
    /// <summary>Bytes of the largest directory.</summary>
    public const long MaxBytes = 64 << 20;

    /// <summary>Bytes that all enabled bitmaps of an image may take in memory: one for each 64 KiB of 8 TiB takes 16 MiB.</summary>
    public const long MaxMemory = 128 << 20;

    private const int ExtensionLength = 24;

    /// <summary>The most bitmaps of an image.</summary>
    public const int MaxCount = 65535;

    // Of one bitmap, as in qemu.
    private const long MaxBitmapBytes = 512 << 20;

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
        return directory is { Count: > 0 and <= MaxCount, Size: > 0 and <= MaxBytes, Offset: > 0 and <= L1Entry.MaxOffset }
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
            RequireInside(bytes.Length >= PersistentBitmap.FixedLength, path, index);
            int nameLength = BinaryPrimitives.ReadUInt16BigEndian(bytes[18..]);
            long entryLength = PersistentBitmap.FixedLength + BinaryPrimitives.ReadUInt32BigEndian(bytes[20..]) + nameLength;
            RequireInside(entryLength <= bytes.Length, path, index);
            PersistentBitmap bitmap = new(
                RawText.Of(bytes.Slice((int)entryLength - nameLength, nameLength)),
                BinaryPrimitives.ReadInt64BigEndian(bytes),
                BinaryPrimitives.ReadUInt32BigEndian(bytes[8..]),
                (BitmapFlags)BinaryPrimitives.ReadUInt32BigEndian(bytes[12..]),
                bytes[16],
                bytes[17])
            {
                ExtraData = bytes[PersistentBitmap.FixedLength..((int)entryLength - nameLength)].ToArray(),
            };
            bitmaps.Add(IsValid(bitmap, layout) && nameLength is > 0 and <= PersistentBitmap.MaxNameLength
                ? bitmap
                : throw ImageError.Invalid(path, $"entry {index} of its bitmap directory has a number that is out of bounds"));
            bytes = bytes[(int)long.Min((entryLength + 7) & ~7L, bytes.Length)..];
        }

        RequireApart(bitmaps, path);
        return bitmaps;
    }

    private static bool IsValid(PersistentBitmap bitmap, ClusterLayout layout) =>
        bitmap is { TableSize: > 0, TableOffset: > 0 and <= L1Entry.MaxOffset, Type: PersistentBitmap.TracksWrites }
        && bitmap.GranularityBits is >= PersistentBitmap.MinGranularityBits and <= PersistentBitmap.MaxGranularityBits
        && (bitmap.Flags & ~BitmapFlags.Known) == 0
        && layout.IsAligned(bitmap.TableOffset) && (long)bitmap.TableSize << layout.ClusterBits <= MaxBitmapBytes;

    /// <summary>The directory of bitmaps as it is stored.</summary>
    public static byte[] ToBytes(IReadOnlyCollection<PersistentBitmap> bitmaps)
    {
        byte[] bytes = new byte[bitmaps.Sum(bitmap => bitmap.EntryLength)];
        int position = 0;
        foreach (PersistentBitmap bitmap in bitmaps)
        {
            bitmap.WriteTo(bytes.AsSpan(position));
            position += bitmap.EntryLength;
        }

        return bytes;
    }

    /// <summary>The header's extension that leads to it.</summary>
    public HeaderExtension ToExtension()
    {
        byte[] data = new byte[ExtensionLength];
        BinaryPrimitives.WriteInt32BigEndian(data, Count);
        BinaryPrimitives.WriteInt64BigEndian(data.AsSpan(8), Size);
        BinaryPrimitives.WriteInt64BigEndian(data.AsSpan(16), Offset);
        return new HeaderExtension(HeaderExtension.Bitmaps, data);
    }

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
