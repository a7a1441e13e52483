using Ublk.Io;

namespace Ublk.Live;

/// <summary>Has changes of overlapping ranges follow each other in the order in which they come. Usable from all threads.</summary>
/// <remarks>
/// Few changes are in flight, so a list of them is as good as a tree. The lock is held briefly and never across an await.
/// </remarks>
internal sealed class RangeOrder
{
    private readonly Lock _lock = new();
    private Entry? _last;
    private Entry? _free;

    /// <summary>Adds a change. For the thread of a queue.</summary>
    /// <param name="offset">The first byte of the range.</param>
    /// <param name="length">Its length in bytes.</param>
    /// <param name="turn">Completes when no earlier change overlaps the range any more.</param>
    /// <returns>What <see cref="Leave"/> takes.</returns>
    public Entry Enter(long offset, long length, out IoTask<int> turn)
    {
        lock (_lock)
        {
            Entry entry = _free ?? new Entry();
            _free = entry.Next;
            (entry.Offset, entry.End) = (offset, offset + length);
            (entry.Previous, entry.Next) = (_last, null);
            entry.Waiter = MustWait(entry) ? QueueWaiter.Rent() : null;
            turn = entry.Waiter?.Task ?? 0;
            _last?.Next = entry;
            _last = entry;
            return entry;
        }
    }

    /// <summary>Removes a change, which has ended.</summary>
    public void Leave(Entry entry)
    {
        QueueWaiter? woken = null;
        lock (_lock)
        {
            Entry? next = entry.Next;
            entry.Previous?.Next = next;
            next?.Previous = entry.Previous;
            _last = next is null ? entry.Previous : _last;
            for (; next is not null; next = next.Next)
            {
                if (next.Waiter is { } waiter && next.Overlaps(entry) && !MustWait(next))
                {
                    next.Waiter = null;
                    waiter.Next = woken;
                    woken = waiter;
                }
            }

            entry.Next = _free;
            _free = entry;
        }

        QueueWaiter.WakeAll(woken, 0);
    }

    private static bool MustWait(Entry entry)
    {
        for (Entry? earlier = entry.Previous; earlier is not null; earlier = earlier.Previous)
        {
            if (earlier.Overlaps(entry))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>A change.</summary>
    internal sealed class Entry
    {
        /// <summary>The first byte.</summary>
        public long Offset { get; set; }

        /// <summary>The end of the range.</summary>
        public long End { get; set; }

        /// <summary>The one that came before.</summary>
        public Entry? Previous { get; set; }

        /// <summary>The one that came after, or the next that is not in use.</summary>
        public Entry? Next { get; set; }

        /// <summary>What waits for its turn; null for one that has it.</summary>
        public QueueWaiter? Waiter { get; set; }

        /// <summary>Whether two ranges have a byte in common.</summary>
        public bool Overlaps(Entry other) => Offset < other.End && other.Offset < End;
    }
}
