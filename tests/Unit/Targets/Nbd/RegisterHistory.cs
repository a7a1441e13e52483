namespace Ublk.Tests.Targets.Nbd;

/// <summary>What happened to one block, whose every write had another value: whether it is what a block may do.</summary>
internal sealed class RegisterHistory
{
    private const long Never = long.MaxValue;

    private readonly List<(ulong Value, long Start, long End, bool IsDone)> _writes = [(0, -2, -1, true)];
    private readonly List<(ulong Value, long Start, long End)> _reads = [];

    /// <summary>A write that was answered: done, or failed and perhaps done by now, later, or never.</summary>
    public void AddWrite(ulong value, long start, long end, bool isDone) => _writes.Add((value, start, end, isDone));

    /// <summary>A read that was answered.</summary>
    public void AddRead(ulong value, long start, long end) => _reads.Add((value, start, end));

    /// <summary>What is wrong with it; null for nothing.</summary>
    public string? FindFault() => FindStray() ?? FindLate() ?? FindDisorder();

    // A value that was not written, or not yet.
    private string? FindStray() => _reads
        .Where(read => !_writes.Exists(write => write.Value == read.Value && write.Start < read.End))
        .Select(read => $"{read.Value} was read before it was written").FirstOrDefault();

    // A write that failed may be done late, but not over one that began after it had failed.
    private string? FindLate()
    {
        foreach ((ulong value, long start, long end) in _reads)
        {
            (ulong Value, long Start, long End, bool IsDone) write = _writes.Find(write => write.Value == value);
            if (_writes.Exists(newer => newer.IsDone && newer.Start > write.End && newer.End < start))
            {
                return $"{value} was read between {start} and {end}, although a newer value was written";
            }
        }

        return null;
    }

    // Linearizability by zones (Gibbons and Korach, Testing Shared Memories, 1997): for each value the time from the first end of one of
    // its operations to the last start of one, or the other way round. No two of the first kind have a time in common, and none of the
    // second is inside of one of the first.
    private string? FindDisorder()
    {
        List<(ulong Value, long Low, long High, bool IsForward)> zones = [];
        foreach ((ulong value, long start, long end, bool isDone) in _writes)
        {
            (ulong Value, long Start, long End)[] reads = [.. _reads.Where(read => read.Value == value)];
            if (!isDone && reads.Length == 0)
            {
                continue;
            }

            long firstEnd = reads.Select(read => read.End).Append(isDone ? end : Never).Min();
            long lastStart = reads.Select(read => read.Start).Append(start).Max();
            zones.Add((value, long.Min(firstEnd, lastStart), long.Max(firstEnd, lastStart), firstEnd < lastStart));
        }

        foreach ((ulong value, long low, long high, _) in zones.Where(zone => zone.IsForward))
        {
            foreach ((ulong other, long otherLow, long otherHigh, bool isForward) in zones.Where(zone => zone.Value != value))
            {
                if (isForward ? otherLow < high && low < otherHigh : low < otherLow && otherHigh < high)
                {
                    return $"{value} from {low} to {high} and {other} from {otherLow} to {otherHigh} have no order";
                }
            }
        }

        return null;
    }
}
