namespace Ublk.Qcow2.State;

/// <summary>
/// Tracks when every request has ended that may still access a cluster which the disk freed: only then is it given
/// to another part of the disk.
/// </summary>
/// <remarks>
/// A request counts itself into the current epoch. An epoch follows when the one before the current has no request left, so
/// two epochs after a cluster was freed, no request uses it.
/// </remarks>
internal sealed class RequestEpochs
{
    private const int Stripes = 16;

    // A cache line for each count, so that threads do not take turns at one.
    private const int Spacing = 16;

    private readonly int[] _counts = new int[Stripes * 2 * Spacing];
    private long _current;

    /// <summary>The current epoch.</summary>
    public long Current => Volatile.Read(ref _current);

    /// <summary>Counts a request in.</summary>
    /// <returns>What to give to <see cref="Exit"/>, from any thread.</returns>
    public int Enter()
    {
        int stripe = Environment.CurrentManagedThreadId % Stripes;
        int place = ((stripe << 1) | (int)(Current & 1)) * Spacing;
        Interlocked.Increment(ref _counts[place]);
        return place;
    }

    /// <summary>Counts a request out.</summary>
    public void Exit(int place) => Interlocked.Decrement(ref _counts[place]);

    /// <summary>Goes on to the next epoch if it can; one caller at a time.</summary>
    public void TryAdvance()
    {
        int parity = (int)((_current + 1) & 1);
        for (int stripe = 0; stripe < Stripes; stripe++)
        {
            if (Volatile.Read(ref _counts[((stripe << 1) | parity) * Spacing]) != 0)
            {
                return;
            }
        }

        Interlocked.Increment(ref _current);
    }
}
