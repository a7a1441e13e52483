using System.Diagnostics;

namespace Ublk.Filters;

/// <summary>A limit in units per second, shared by all queues without a lock.</summary>
/// <param name="limit">Units a second, of bytes or of requests; 1 or more.</param>
/// <param name="burst">Idle time whose units may be used at once.</param>
internal sealed class RateBudget(long limit, TimeSpan burst)
{
    private readonly double _ticksPerUnit = (double)Stopwatch.Frequency / limit;
    private readonly long _burst = (long)(burst.TotalSeconds * Stopwatch.Frequency);

    // When the units that were let through are used up at the limit's rate.
    private long _next;

    /// <summary>Lets units through.</summary>
    /// <returns>How long they must wait, in ticks of the stopwatch; not more than 0 if they need not.</returns>
    public long Reserve(long units)
    {
        long cost = (long)(_ticksPerUnit * units);
        while (true)
        {
            long now = Stopwatch.GetTimestamp();
            long next = Volatile.Read(ref _next);
            long start = long.Max(next, now - _burst);
            if (Interlocked.CompareExchange(ref _next, start + cost, next) == next)
            {
                return start + cost - now;
            }
        }
    }
}
