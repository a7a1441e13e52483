using System.Buffers.Binary;
using Ublk.Serving;
using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>Shows one partition of the disk behind it, which it looks up once.</summary>
internal static class PartitionFilter
{
    private const int Sector = 512;

    /// <summary>The catalogue's entry.</summary>
    public static FilterDefinition Definition { get; } = new(
        "Partition",
        "Shows one partition of the disk.",
        [new TargetOption("Partition", TargetOptionKind.Number, "The partition's number, from 1.", IsMandatory: true)],
        (inner, options) => Open(inner, options.GetNumber("Partition")!.Value));

    private static OffsetFilter Open(BlockTarget inner, long number)
    {
        byte[] head = new TargetClient(inner).Read(0, int.Max(Sector, inner.Geometry.LogicalBlockSize));
        (long Start, long Length)? found = head[510] != 0x55 || head[511] != 0xAA ? throw Missing("The disk has no partition table.")
            : IsProtective(head) ? FindInGpt(inner, number)
            : number is >= 1 and <= 4 ? FindInMbr(head, (int)number)
            : null;
        return found is { Length: > 0 } range ? new OffsetFilter(inner, range.Start, range.Length) : throw Missing($"The disk has no partition {number}.");
    }

    // Entries of 16 bytes from 446 on: the type at 4, first sector at 8, sectors at 12.
    private static (long Start, long Length)? FindInMbr(byte[] head, int number)
    {
        ReadOnlySpan<byte> entry = head.AsSpan(446 + ((number - 1) * 16), 16);
        return entry[4] switch
        {
            0 => null,
            0x05 or 0x0F or 0x85 => throw Missing($"Partition {number} holds others, which this filter does not look for: use Offset and Length."),
            _ => ((long)BinaryPrimitives.ReadUInt32LittleEndian(entry[8..]) * Sector, (long)BinaryPrimitives.ReadUInt32LittleEndian(entry[12..]) * Sector),
        };
    }

    private static bool IsProtective(byte[] head) => head[446 + 4] == 0xEE;

    // UEFI 2.10, 5.3: the header is in block 1; it tells where the entries are (72), how many (80) and how large (84).
    private static (long Start, long Length)? FindInGpt(BlockTarget inner, long number)
    {
        int block = inner.Geometry.LogicalBlockSize;
        byte[] header = new TargetClient(inner).Read(block, block);
        if (!header.AsSpan(0, 8).SequenceEqual("EFI PART"u8))
        {
            throw Missing("The disk's partition table is damaged: it has no GPT header in its second block.");
        }

        long table = (long)BinaryPrimitives.ReadUInt64LittleEndian(header.AsSpan(72)) * block;
        uint count = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(80));
        uint size = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(84));
        if (number < 1 || number > count)
        {
            return null;
        }

        if (size is < 128 or > 4096 || !uint.IsPow2(size))
        {
            throw Missing($"The disk's partition table is damaged: its entries have {size} bytes.");
        }

        // Entries are no larger than a block, or begin one.
        long position = table + ((number - 1) * size);
        long start = position / block * block;
        int length = (int)((position - start + size + block - 1) / block * block);
        if (start < 0 || start > inner.Geometry.Size - length)
        {
            throw Missing("The disk's partition table is damaged: it lies outside the disk.");
        }

        ReadOnlySpan<byte> entry = new TargetClient(inner).Read(start, length).AsSpan((int)(position - start), (int)size);
        long first = (long)BinaryPrimitives.ReadUInt64LittleEndian(entry[32..]);
        long last = (long)BinaryPrimitives.ReadUInt64LittleEndian(entry[40..]);
        return entry[..16].IndexOfAnyExcept((byte)0) < 0 ? null : (first * block, (last - first + 1) * block);
    }

    private static UblkException Missing(string message) => new(UblkError.InvalidArgument, message);
}
