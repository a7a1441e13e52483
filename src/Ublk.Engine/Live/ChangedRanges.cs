using System.Numerics;

namespace Ublk.Live;

/// <summary>Which parts of a disk were changed and are still to be copied. At first that is all of it. Usable from all threads.</summary>
internal sealed class ChangedRanges
{
    // A change of one byte has this much copied again.
    private const int MinUnitBits = 16;

    // 4 MiB of memory at most.
    private const long MaxUnits = 1L << 25;

    private readonly long _size;
    private readonly int _unitBits = MinUnitBits;
    private readonly long[] _words;

    /// <summary>A disk of which everything is still to be copied.</summary>
    /// <param name="size">Its size in bytes.</param>
    public ChangedRanges(long size)
    {
        _size = size;
        while (size >> _unitBits > MaxUnits)
        {
            _unitBits++;
        }

        _words = new long[(UnitsFor(size) + 63) / 64];
        Mark(0, size);
    }

    /// <summary>Bytes that are still to be copied, in whole units.</summary>
    public long Length => _words.Sum(word => (long)BitOperations.PopCount((ulong)Volatile.Read(ref word))) << _unitBits;

    /// <summary>A range was changed.</summary>
    public void Mark(long offset, long length)
    {
        long end = UnitsFor(offset + length);
        for (long unit = offset >> _unitBits; unit < end; unit++)
        {
            Interlocked.Or(ref _words[unit >> 6], 1L << (int)(unit & 63));
        }
    }

    /// <summary>Takes the next changed range, which is then no longer one.</summary>
    /// <param name="position">Where to look from; then the end of the range.</param>
    /// <param name="maxLength">The longest range to take, in bytes.</param>
    /// <param name="offset">The first byte of the range.</param>
    /// <param name="length">Its length in bytes.</param>
    /// <returns>False if no range from there to the end of the disk was changed.</returns>
    public bool TryTake(ref long position, int maxLength, out long offset, out int length)
    {
        long end = UnitsFor(_size);
        long first = UnitsFor(position);
        while (first < end && !IsMarked(first))
        {
            // 64 at a time where there are none.
            first = Volatile.Read(ref _words[first >> 6]) == 0 ? (first | 63) + 1 : first + 1;
        }

        long next = first;
        while (next < end && next - first < maxLength >> _unitBits && IsMarked(next))
        {
            Interlocked.And(ref _words[next >> 6], ~(1L << (int)(next & 63)));
            next++;
        }

        offset = long.Min(first << _unitBits, _size);
        position = long.Min(next << _unitBits, _size);
        length = (int)(position - offset);
        return length > 0;
    }

    private long UnitsFor(long bytes) => (bytes + (1L << _unitBits) - 1) >> _unitBits;

    private bool IsMarked(long unit) => (Volatile.Read(ref _words[unit >> 6]) & (1L << (int)(unit & 63))) != 0;
}
