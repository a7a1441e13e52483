namespace Ublk.Serving;

/// <summary>The share of one thread in a queue.</summary>
/// <param name="QueueId">The queue.</param>
/// <param name="Index">Which of its threads, from 0.</param>
/// <param name="Count">How many threads it has.</param>
internal readonly record struct QueueShare(int QueueId, int Index, int Count)
{
    // The kernel gives neighbouring tags to requests that come together, and the driver hands such requests to a thread in
    // one go. So neighbours stay together, and a client with a few times as many requests occupies every thread.
    private const int RunLength = 8;

    /// <summary>The tags whose requests the thread answers: every so many, a run of neighbours.</summary>
    /// <param name="depth">The queue's tags; at least as many as threads.</param>
    public int[] TagsOf(int depth)
    {
        (int index, int count) = (Index, Count);
        int run = Math.Min(RunLength, depth / count);
        return [.. Enumerable.Range(0, depth).Where(tag => tag / run % count == index)];
    }

    /// <summary>The queue's number, and the thread's where there are several: <c>0.1</c>.</summary>
    public override string ToString() => Count > 1 ? $"{QueueId}.{Index}" : $"{QueueId}";
}
