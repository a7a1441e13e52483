using Ublk.Io;

namespace Ublk.Qcow2.State;

/// <summary>The writes that are getting places for clusters of the disk. Used under the image's lock.</summary>
internal sealed class GuestRanges
{
    private readonly List<GuestRange> _ranges = [];
    private readonly Stack<GuestRange> _unused = new();

    /// <summary>The range that has one of these clusters, or null.</summary>
    public GuestRange? FindOverlap(long first, long count)
    {
        foreach (GuestRange range in _ranges)
        {
            if (first < range.First + range.Count && range.First < first + count)
            {
                return range;
            }
        }

        return null;
    }

    /// <summary>Takes clusters that no other range has.</summary>
    public GuestRange Add(long first, int count)
    {
        GuestRange range = _unused.TryPop(out GuestRange? unused) ? unused : new GuestRange();
        range.First = first;
        range.Count = count;
        _ranges.Add(range);
        return range;
    }

    /// <summary>Lets go of a range's clusters.</summary>
    /// <returns>The waiters, to be woken outside the lock.</returns>
    public QueueWaiter? Remove(GuestRange range)
    {
        _ranges.Remove(range);
        _unused.Push(range);
        return range.TakeWaiters();
    }
}

/// <summary>Clusters of the disk that a write is getting places for; other writes to them wait until it has.</summary>
internal sealed class GuestRange
{
    private QueueWaiter? _waiters;

    /// <summary>The first cluster, counted from the disk's beginning.</summary>
    public long First { get; set; }

    /// <summary>How many.</summary>
    public int Count { get; set; }

    /// <summary>Where the first one's place is in the image file.</summary>
    public long HostOffset { get; set; }

    /// <summary>Whether the places were never used, so that they read as zeroes.</summary>
    public bool IsVirgin { get; set; }

    /// <summary>Waits until the write has its places.</summary>
    public IoTask<int> WaitAsync() => QueueWaiter.Join(ref _waiters);

    /// <summary>Takes the waiters, to be woken.</summary>
    public QueueWaiter? TakeWaiters() => QueueWaiter.TakeAll(ref _waiters);
}
