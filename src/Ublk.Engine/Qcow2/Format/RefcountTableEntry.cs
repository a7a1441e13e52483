namespace Ublk.Qcow2.Format;

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
