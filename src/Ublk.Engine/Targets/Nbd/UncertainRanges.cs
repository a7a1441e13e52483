namespace Ublk.Targets.Nbd;

/// <summary>
/// Parts of an export that a write of a lost connection may still change, at any later time: nothing newer may be written there.
/// </summary>
/// <remarks>Any thread may ask and add. It is empty but for accidents, so that asking costs next to nothing.</remarks>
internal sealed class UncertainRanges
{
    // A loss adds no more than were in flight. Beyond this they become one range, with all between them.
    private const int MaxRanges = 1024;

    private readonly Lock _lock = new();
    private volatile (long Start, long End)[] _ranges = [];

    /// <summary>How many bytes there are, with those that were added twice.</summary>
    public long Length => _ranges.Sum(range => range.End - range.Start);

    /// <summary>Whether a range has a part in common with any of them.</summary>
    public bool Overlaps(long start, long length)
    {
        foreach ((long otherStart, long otherEnd) in _ranges)
        {
            if (start < otherEnd && otherStart < start + length)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Adds a range, for good.</summary>
    public void Add(long start, long length)
    {
        lock (_lock)
        {
            _ranges = _ranges.Length < MaxRanges
                ? [.. _ranges, (start, start + length)]
                : [(long.Min(start, _ranges.Min(range => range.Start)), long.Max(start + length, _ranges.Max(range => range.End)))];
        }
    }
}
