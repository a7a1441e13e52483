namespace Ublk.Qcow2.Format;

/// <summary>Where an L2 table is.</summary>
/// <param name="Raw">The entry as it is in the file.</param>
internal readonly record struct L1Entry(ulong Raw)
{
    /// <summary>The last offset that an L1 or L2 entry can express.</summary>
    public const long MaxOffset = OffsetMask;

    private const long OffsetMask = 0x00FF_FFFF_FFFF_FE00;
    private const ulong CopiedBit = 1UL << 63;

    /// <summary>The entry of a table.</summary>
    /// <param name="offset">Where it is in the file; 0 for none.</param>
    /// <param name="copied">Whether its reference count is exactly one.</param>
    public static L1Entry At(long offset, bool copied = true) => new((ulong)offset | (copied ? CopiedBit : 0));

    /// <summary>The host offset of the table in bytes; 0 if there is no table.</summary>
    public long Offset => (long)Raw & OffsetMask;

    /// <summary>Whether the table's reference count is one, so that it may be changed where it is; only of the active L1 table.</summary>
    public bool IsCopied => (Raw & CopiedBit) != 0;

    /// <summary>Whether bits are set that must be clear.</summary>
    public bool HasReservedBits => (Raw & ~((ulong)OffsetMask | CopiedBit)) != 0;
}

/// <summary>Where a refcount block is.</summary>
/// <param name="Raw">The entry as it is in the file.</param>
internal readonly record struct RefcountTableEntry(ulong Raw)
{
    private const ulong ReservedMask = 511;

    /// <summary>Where the block is in the file; 0 where there is none and all its counts are 0. Negative: beyond any file.</summary>
    public long Offset => (long)(Raw & ~ReservedMask);

    /// <summary>Whether bits are set that must be clear.</summary>
    public bool HasReservedBits => (Raw & ReservedMask) != 0;
}
