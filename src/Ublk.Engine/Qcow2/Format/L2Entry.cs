using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Ublk.Qcow2.Format;

/// <summary>An L2 entry: where a cluster of the disk is.</summary>
/// <param name="Descriptor">The first eight bytes.</param>
/// <param name="Subclusters">
/// The second eight bytes of an extended entry: allocated subclusters in the lower half, zero ones in the upper; 0 otherwise.
/// </param>
internal readonly record struct L2Entry(ulong Descriptor, ulong Subclusters = 0)
{
    private const ulong CopiedBit = 1UL << 63;
    private const ulong CompressedBit = 1UL << 62;
    private const ulong ZeroBit = 1;
    private const ulong StandardReservedMask = 0x3F00_0000_0000_01FE;

    /// <summary>All subclusters allocated.</summary>
    public const ulong AllAllocated = 0x0000_0000_FFFF_FFFF;

    /// <summary>All subclusters zero.</summary>
    public const ulong AllZero = 0xFFFF_FFFF_0000_0000;

    /// <summary>An entry for data at a place of its own.</summary>
    public static L2Entry At(long offset, ulong subclusters = 0) => new((ulong)offset | CopiedBit, subclusters);

    /// <summary>An entry that reads as zeroes and has no place; not in version 2.</summary>
    public static L2Entry ZeroPlain(bool extended) => extended ? new L2Entry(0, AllZero) : new L2Entry(ZeroBit);

    /// <summary>An entry of a compressed cluster.</summary>
    /// <param name="layout">The image's layout.</param>
    /// <param name="offset">The first byte of the compressed data.</param>
    /// <param name="length">Its length in bytes, at least 1.</param>
    public static L2Entry CompressedAt(ClusterLayout layout, long offset, int length)
    {
        int bits = CompressedOffsetBits(layout);
        long sectors = ((offset + length - 1) >> 9) - (offset >> 9);
        return new L2Entry(CompressedBit | (ulong)offset | ((ulong)sectors << bits));
    }

    /// <summary>Reads an entry of a table that is as in the file.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static L2Entry Read(ReadOnlySpan<ulong> table, int index, bool isExtended) => isExtended
        ? new L2Entry(BinaryPrimitives.ReverseEndianness(table[index * 2]), BinaryPrimitives.ReverseEndianness(table[(index * 2) + 1]))
        : new L2Entry(BinaryPrimitives.ReverseEndianness(table[index]));

    /// <summary>Writes the entry to a table that is as in the file.</summary>
    public void Write(Span<ulong> table, int index, bool isExtended)
    {
        int place = isExtended ? index * 2 : index;
        table[place] = BinaryPrimitives.ReverseEndianness(Descriptor);
        if (isExtended)
        {
            table[place + 1] = BinaryPrimitives.ReverseEndianness(Subclusters);
        }
    }

    /// <summary>The host offset of a standard cluster; 0 for none (or, with an external data file, for its first cluster).</summary>
    public long Offset => (long)Descriptor & L1Entry.MaxOffset;

    /// <summary>Whether the cluster's reference count is one, so that it may be written in place.</summary>
    public bool IsCopied => (Descriptor & CopiedBit) != 0;

    /// <summary>Whether the data is compressed.</summary>
    public bool IsCompressed => (Descriptor & CompressedBit) != 0;

    /// <summary>Whether the bit that makes a standard entry read as zeroes is set; without meaning in an extended entry.</summary>
    public bool HasZeroBit => (Descriptor & ZeroBit) != 0;

    /// <summary>Whether there is a place in the file (or in the external data file) for the cluster, as it is.</summary>
    /// <remarks>
    /// Host offset 0 is the image's header. In an external data file it is the first cluster; the copied bit is then set on an allocated
    /// entry.
    /// </remarks>
    public bool HasHostOffset(ClusterLayout layout) => !IsCompressed && (Offset != 0 || (layout.HasDataFile && IsCopied));

    /// <summary>Whether a standard entry of an image without a data file is valid, has data, and a reference count of one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool IsPlainData(ClusterLayout layout) =>
        (Descriptor & (CopiedBit | CompressedBit | ZeroBit)) == CopiedBit && Offset != 0 && layout.IsAligned(Offset);

    /// <summary>Whether bits of a standard entry are set that must be clear.</summary>
    public bool HasReservedBits => !IsCompressed && (Descriptor & StandardReservedMask) != 0;

    /// <summary>Which of 32 subclusters have their data here.</summary>
    public uint AllocatedSubclusters => (uint)Subclusters;

    /// <summary>Which of 32 subclusters read as zeroes.</summary>
    public uint ZeroSubclusters => (uint)(Subclusters >> 32);

    /// <summary>The entry with the same place, its reference count now one or not.</summary>
    public L2Entry WithCopied(bool copied) => this with { Descriptor = copied ? Descriptor | CopiedBit : Descriptor & ~CopiedBit };

    /// <summary>The entry with the bit that makes it read as zeroes.</summary>
    public L2Entry WithZeroBit() => this with { Descriptor = Descriptor | ZeroBit };

    /// <summary>What it says of the cluster as a whole; in an extended entry, of a cluster whose subclusters differ: data.</summary>
    public ExtentKind KindIn(ClusterLayout layout) =>
        layout.HasExtendedL2 && !IsCompressed && Subclusters != AllZero && (Subclusters != 0 || HasHostOffset(layout))
            ? ExtentKind.Data
            : KindIn(layout, 0);

    /// <summary>What it says of a subcluster; an entry that is not extended has one alone. The entry has no fault.</summary>
    public ExtentKind KindIn(ClusterLayout layout, int subcluster)
    {
        if (IsCompressed)
        {
            return ExtentKind.Compressed;
        }

        bool isZero = layout.HasExtendedL2 ? (ZeroSubclusters >> subcluster & 1) != 0 : HasZeroBit;
        if (isZero)
        {
            return HasHostOffset(layout) ? ExtentKind.ZeroAllocated : ExtentKind.Zero;
        }

        bool isAllocated = layout.HasExtendedL2 ? (AllocatedSubclusters >> subcluster & 1) != 0 : HasHostOffset(layout);
        return isAllocated ? ExtentKind.Data : ExtentKind.Unallocated;
    }

    /// <summary>How many subclusters of the cluster, from one on, are of the kind of that one.</summary>
    public int RunIn(ClusterLayout layout, int subcluster)
    {
        if (!layout.HasExtendedL2 || IsCompressed)
        {
            return layout.Subclusters - subcluster;
        }

        uint bit = 1u << subcluster;
        uint same = (ZeroSubclusters & bit) != 0 ? ZeroSubclusters
            : (AllocatedSubclusters & bit) != 0 ? AllocatedSubclusters
            : ~(ZeroSubclusters | AllocatedSubclusters);
        return BitOperations.TrailingZeroCount(~(ulong)(same >> subcluster));
    }

    /// <summary>The first byte of compressed data in the file.</summary>
    public long CompressedOffset(ClusterLayout layout) => (long)(Descriptor & ((1UL << CompressedOffsetBits(layout)) - 1));

    /// <summary>Bytes from there in which the compressed data ends: to the end of its last sector.</summary>
    public int CompressedLength(ClusterLayout layout)
    {
        int bits = CompressedOffsetBits(layout);
        int sectors = (int)((Descriptor & (CompressedBit - 1)) >> bits) + 1;
        return (sectors << 9) - (int)(CompressedOffset(layout) & 511);
    }

    /// <summary>The bytes of the image that the entry refers to; of length 0 for none, as where data is in an external file.</summary>
    public (long Offset, long Length) ReferenceIn(ClusterLayout layout) =>
        layout.HasDataFile ? default
        : IsCompressed ? (CompressedOffset(layout), CompressedLength(layout))
        : (Offset, Offset == 0 ? 0 : layout.ClusterSize);

    /// <summary>What is wrong with the entry by itself, as the end of a sentence; null if nothing.</summary>
    public string? FindFault(ClusterLayout layout, int version)
    {
        if (IsCompressed)
        {
            return CompressedOffset(layout) > L1Entry.MaxOffset + 511 ? "has a host offset of compressed data beyond any file" : null;
        }

        if (!layout.IsAligned(Offset))
        {
            return $"has the host offset {Offset}, which is not a multiple of the cluster size";
        }

        if (layout.HasExtendedL2)
        {
            return (AllocatedSubclusters & ZeroSubclusters) != 0 ? "calls a subcluster both allocated and zero"
                : AllocatedSubclusters != 0 && !HasHostOffset(layout) ? "marks a subcluster as allocated, but has no host offset"
                : null;
        }

        return HasZeroBit && version < 3 ? "is a zero cluster, which version 2 does not have" : null;
    }

    private static int CompressedOffsetBits(ClusterLayout layout) => 62 - (layout.ClusterBits - 8);
}

/// <summary>An L2 table of an image at rest, as it is in the file. A new one has no entries.</summary>
/// <param name="layout">The image's layout.</param>
internal readonly struct L2Words(ClusterLayout layout)
{
    private readonly ulong[] _words = new ulong[layout.ClusterSize / sizeof(ulong)];

    /// <summary>The table as it is in the file.</summary>
    public Span<byte> Bytes => MemoryMarshal.AsBytes(_words.AsSpan());

    /// <summary>The entry of a cluster.</summary>
    public L2Entry this[int index]
    {
        get => L2Entry.Read(_words, index, layout.HasExtendedL2);
        set => value.Write(_words, index, layout.HasExtendedL2);
    }
}
