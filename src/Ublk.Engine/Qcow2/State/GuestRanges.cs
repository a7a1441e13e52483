using Ublk.Io;

namespace Ublk.Qcow2.State;

/// <summary>The writes that are getting places for clusters of the disk. Used under the image's lock.</summary>
internal sealed class GuestRanges
{
    private GuestRange? _first;
    private GuestRange? _free;

    /// <summary>The range that has one of these clusters, or null.</summary>
    public GuestRange? FindOverlap(long first, long count)
    {
        for (GuestRange? range = _first; range is not null; range = range.Next)
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
        GuestRange range = _free ?? new GuestRange();
        _free = range.Next;
        range.First = first;
        range.Count = count;
        range.Next = _first;
        _first = range;
        return range;
    }

    /// <summary>Lets go of a range's clusters.</summary>
    /// <returns>The waiters, to be woken outside the lock.</returns>
    public QueueWaiter? Remove(GuestRange range)
    {
        if (_first == range)
        {
            _first = range.Next;
        }
        else
        {
            GuestRange former = _first!;
            while (former.Next != range)
            {
                former = former.Next!;
            }

            former.Next = range.Next;
        }

        range.Next = _free;
        _free = range;
        return range.TakeWaiters();
    }
}
