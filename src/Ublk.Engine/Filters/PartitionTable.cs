using System.Buffers.Binary;

namespace Ublk.Filters;

/// <summary>The partition table of a disk, GPT or MBR, read as the kernel reads it (block/partitions/efi.c and msdos.c).</summary>
/// <param name="read">Reads whole blocks of the disk, from an offset in bytes.</param>
/// <param name="size">The disk's size in bytes.</param>
/// <param name="block">The logical block size that clients of the disk see, in bytes. Tables count in it.</param>
internal sealed class PartitionTable(Func<long, int, byte[]> read, long size, int block)
{
    private const int MbrEntries = 446;
    private const int MbrEntrySize = 16;
    private const byte ProtectiveType = 0xEE;
    private const int FirstLogical = 5;

    // UEFI 2.10, 5.3: the fields of the header and of an entry.
    private const int GptEntrySize = 128;
    private const int MaxGptEntries = 32768;

    // The kernel gives up on a chain of extended partitions that is longer.
    private const int MaxChain = 100;

    /// <summary>Where a partition is, in bytes.</summary>
    /// <param name="number">Its number, as in the name that the kernel gives it.</param>
    /// <exception cref="UblkException">The disk has no partition table, a damaged one, or no such partition.</exception>
    public (long Start, long Length) Find(long number)
    {
        MbrEntry[]? mbr = ReadMbr(0);
        if (mbr is null || mbr.Any(entry => entry.Flag is not (0 or 0x80)))
        {
            throw Invalid("The disk has no partition table.");
        }

        bool isGpt = mbr.Any(entry => entry.Type == ProtectiveType);
        return (isGpt ? FindInGpt(number) : FindInMbr(mbr, number)) ?? throw Invalid($"The disk has no partition {number}.");
    }

    private (long Start, long Length)? FindInMbr(MbrEntry[] mbr, long number)
    {
        if (number < FirstLogical)
        {
            return number < 1 || mbr[number - 1] is not { Count: > 0 } entry ? null
                : entry.IsExtended
                    ? throw Invalid($"Partition {number} is an extended one: those inside it have numbers from {FirstLogical} on.")
                : (entry.First * block, entry.Count * block);
        }

        return mbr.Where(entry => entry.Count > 0 && entry.IsExtended).SelectMany(Logical)
            .Select(range => ((long, long)?)range).ElementAtOrDefault(int.CreateSaturating(number - FirstLogical));
    }

    // Each block of the chain has an entry of a partition, which counts from that block, and one of the next block, which counts from the
    // first.
    private IEnumerable<(long Start, long Length)> Logical(MbrEntry extended)
    {
        (long first, long count) = (extended.First, extended.Count);
        for (int links = 0; links <= MaxChain && (first + 1) * block <= size; links++)
        {
            if (ReadMbr(first) is not { } entries)
            {
                yield break;
            }

            for (int i = 0; i < entries.Length; i++)
            {
                // The last two are mostly empty, and garbage in some disks.
                long start = first + entries[i].First;
                bool isGarbage = i >= 2
                    && (entries[i].First + entries[i].Count > count || start + entries[i].Count > extended.First + extended.Count);
                if (entries[i] is { Count: > 0, IsExtended: false } && !isGarbage)
                {
                    yield return (start * block, entries[i].Count * block);
                }
            }

            MbrEntry next = entries.FirstOrDefault(entry => entry is { Count: > 0, IsExtended: true });
            if (next.Count == 0)
            {
                yield break;
            }

            (first, count) = (extended.First + next.First, next.Count);
        }
    }

    private (long Start, long Length)? FindInGpt(long number)
    {
        byte[] header = size >= 2 * block ? ReadBlock(1) : [];
        if (!header.AsSpan().StartsWith("EFI PART"u8))
        {
            throw Damaged($"it has no GPT header in its second block of {block} bytes");
        }

        uint length = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(12));
        uint count = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(80));
        uint checksum = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(16));

        // It was made while its own field was zero.
        header.AsSpan(16, 4).Clear();
        if (length < 92 || length > block || Crc32(header.AsSpan(0, (int)length)) != checksum)
        {
            throw Damaged("the checksum of its header does not match");
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(84)) != GptEntrySize || count > MaxGptEntries)
        {
            throw Damaged($"it has entries of another size than {GptEntrySize} bytes, or more than {MaxGptEntries}");
        }

        ulong lastBlock = (ulong)(size / block) - 1;
        ulong table = BinaryPrimitives.ReadUInt64LittleEndian(header.AsSpan(72));
        int tableLength = (int)count * GptEntrySize;
        int tableBlocks = (tableLength + block - 1) / block;
        if (table > lastBlock || (ulong)tableBlocks > lastBlock - table + 1)
        {
            throw Damaged("it lies outside the disk");
        }

        byte[] entries = count == 0 ? [] : read((long)table * block, tableBlocks * block);
        if (Crc32(entries.AsSpan(0, tableLength)) != BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(88)))
        {
            throw Damaged("the checksum of its entries does not match");
        }

        if (number < 1 || number > count)
        {
            return null;
        }

        ReadOnlySpan<byte> entry = entries.AsSpan((int)(number - 1) * GptEntrySize, GptEntrySize);
        ulong first = BinaryPrimitives.ReadUInt64LittleEndian(entry[32..]);
        ulong last = BinaryPrimitives.ReadUInt64LittleEndian(entry[40..]);
        bool isUsed = entry[..16].IndexOfAnyExcept((byte)0) >= 0 && first <= last && last <= lastBlock;
        return isUsed ? ((long)first * block, (long)(last - first + 1) * block) : null;
    }

    private byte[] ReadBlock(long number) => read(number * block, block);

    // Null where the block is not signed as one with entries.
    private MbrEntry[]? ReadMbr(long number)
    {
        byte[] data = ReadBlock(number);
        return data[510] == 0x55 && data[511] == 0xAA
            ? [.. Enumerable.Range(0, 4).Select(i => new MbrEntry(data.AsSpan(MbrEntries + (i * MbrEntrySize))))]
            : null;
    }

    // That of IEEE 802.3 (UEFI 2.10, 4.2).
    private static uint Crc32(ReadOnlySpan<byte> data)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in data)
        {
            crc ^= value;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc >> 1) ^ ((crc & 1) * 0xEDB88320);
            }
        }

        return ~crc;
    }

    private static UblkException Damaged(string reason) => Invalid($"The disk's partition table is damaged: {reason}.");

    private static UblkException Invalid(string message) => new(UblkError.InvalidArgument, message);

    /// <summary>An entry of an MBR or of a block of its chain. Blocks are counted in 32 bits, so that no sum of them overflows.</summary>
    private readonly struct MbrEntry(ReadOnlySpan<byte> bytes)
    {
        public byte Flag { get; } = bytes[0];

        public byte Type { get; } = bytes[4];

        public long First { get; } = BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]);

        public long Count { get; } = BinaryPrimitives.ReadUInt32LittleEndian(bytes[12..]);

        public bool IsExtended => Type is 0x05 or 0x0F or 0x85;
    }
}
