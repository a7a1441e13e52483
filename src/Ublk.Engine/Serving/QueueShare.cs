namespace Ublk.Serving;

/// <summary>What one of a queue's threads has of it.</summary>
/// <param name="QueueId">The queue.</param>
/// <param name="Index">Which of its threads, from 0.</param>
/// <param name="Count">How many threads it has.</param>
internal readonly record struct QueueShare(int QueueId, int Index, int Count)
{
    /// <summary>The tags whose requests the thread answers.</summary>
    public int[] TagsOf(int depth)
    {
        (int index, int count) = (Index, Count);
        return [.. Enumerable.Range(0, depth).Where(tag => tag % count == index)];
    }

    /// <summary>The queue's number, and the thread's where there are several: <c>0.1</c>.</summary>
    public override string ToString() => Count > 1 ? $"{QueueId}.{Index}" : $"{QueueId}";
}
