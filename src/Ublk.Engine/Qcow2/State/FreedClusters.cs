namespace Ublk.Qcow2.State;

/// <summary>
/// Clusters that lost a reference. Their count goes down, and they may be used again, only when the file has no trace of the
/// reference any more and no request that knew of it is left.
/// </summary>
/// <remarks>Used under the image's lock.</remarks>
/// <param name="clusterSize">Bytes in a cluster.</param>
internal sealed class FreedClusters(int clusterSize)
{
    private readonly Queue<(HostRange Range, long Epoch)> _waiting = new();
    private HostRange _rest;
    private List<HostRange> _referenced = [];
    private List<HostRange> _inFlush = [];

    /// <summary>Clusters whose reference is gone from memory but may still be in the file.</summary>
    public void Add(HostRange range) => HostRange.Append(_referenced, range, clusterSize);

    /// <summary>Clusters that nothing ever referred to.</summary>
    public void AddUnreferenced(HostRange range, long epoch) => _waiting.Enqueue((range, epoch));

    /// <summary>A flush begins that takes the references out of the file.</summary>
    public void BeginFlush() => (_referenced, _inFlush) = (_inFlush, _referenced);

    /// <summary>The flush has ended.</summary>
    /// <param name="succeeded">Whether the references are gone from the file.</param>
    /// <param name="epoch">The current epoch.</param>
    public void EndFlush(bool succeeded, long epoch)
    {
        foreach (HostRange range in _inFlush)
        {
            if (succeeded)
            {
                _waiting.Enqueue((range, epoch));
            }
            else
            {
                _referenced.Add(range);
            }
        }

        _inFlush.Clear();
    }

    /// <summary>Takes clusters that are no longer in use in the current epoch, up to a maximum number.</summary>
    public bool TryTake(long epoch, int maxCount, out HostRange range)
    {
        if (_rest.Count == 0)
        {
            if (!_waiting.TryPeek(out (HostRange Range, long Epoch) first) || first.Epoch + 2 > epoch)
            {
                range = default;
                return false;
            }

            _rest = _waiting.Dequeue().Range;
        }

        range = _rest with { Count = long.Min(_rest.Count, maxCount) };
        _rest = new HostRange(_rest.Offset + (range.Count * clusterSize), _rest.Count - range.Count);
        return true;
    }

    /// <summary>Whether clusters wait for requests to end, or to be taken. Without the lock the answer may be out of date.</summary>
    public bool HasWaiting => _waiting.Count > 0 || _rest.Count > 0;
}

/// <summary>Clusters of the image file that lie one after the other.</summary>
/// <param name="Offset">Where the first begins, in bytes.</param>
/// <param name="Count">How many.</param>
internal readonly record struct HostRange(long Offset, long Count)
{
    /// <summary>Adds a range to a list. Neighbours that follow one another become one range.</summary>
    public static void Append(List<HostRange> ranges, HostRange range, int clusterSize)
    {
        if (ranges.Count > 0 && ranges[^1] is var last && last.Offset + (last.Count * clusterSize) == range.Offset)
        {
            ranges[^1] = last with { Count = last.Count + range.Count };
        }
        else
        {
            ranges.Add(range);
        }
    }
}
