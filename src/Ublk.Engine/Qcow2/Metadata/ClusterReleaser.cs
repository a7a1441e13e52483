using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Metadata;

/// <summary>Takes clusters of the image file back, once no request uses them any more and the file has forgotten them.</summary>
/// <remarks>
/// A slice of clusters is counted under the allocator's mutex, emptied without it, and free from then on. No one can allocate the clusters
/// meanwhile, as their count is still 1, and no other caller frees any.
/// </remarks>
internal sealed class ClusterReleaser(ImageState image, RefcountCache refcounts, bool punchesHoles)
{
    // Clusters whose counts change while the mutex is held once.
    private const int SliceClusters = 4096;

    private readonly ClusterLayout _layout = image.Layout;
    private readonly List<HostRange> _unused = [];
    private bool _isRunning;

    /// <summary>Frees clusters that are no longer in use. Returns at once if another caller does so.</summary>
    /// <param name="allocator">Whose mutex the counts are under.</param>
    /// <param name="maxRanges">The most ranges of clusters to free.</param>
    /// <returns>0 or a negative errno.</returns>
    public async IoTask<int> ReclaimAsync(ClusterAllocator allocator, int maxRanges)
    {
        if (!image.Freed.HasWaiting || image.Health.Failure != 0 || Interlocked.Exchange(ref _isRunning, true))
        {
            return 0;
        }

        try
        {
            int result = 0;
            for (int count = 0; count < maxRanges && result == 0 && TryTake(out HostRange range); count++)
            {
                result = await ReleaseAsync(allocator, range);
            }

            return result;
        }
        finally
        {
            Volatile.Write(ref _isRunning, false);
        }
    }

    private bool TryTake(out HostRange range)
    {
        lock (image.Lock)
        {
            image.Epochs.TryAdvance();
            image.Epochs.TryAdvance();
            return image.Freed.TryTake(image.Epochs.Current, SliceClusters, out range);
        }
    }

    private async IoTask<int> ReleaseAsync(ClusterAllocator allocator, HostRange range)
    {
        _unused.Clear();
        int result = await LowerAsync(allocator, range);
        for (int index = 0; index < _unused.Count && punchesHoles && result == 0; index++)
        {
            // What cannot be punched is free all the same.
            await image.File.AllocateAsync(Libc.FALLOC_FL_PUNCH_HOLE | Libc.FALLOC_FL_KEEP_SIZE,
                _unused[index].Offset, _unused[index].Count << _layout.ClusterBits);
        }

        return result < 0 ? result : await FreeAsync(allocator);
    }

    // Lowers the counts that stay above 0, and notes the clusters that nothing refers to any more.
    private async IoTask<int> LowerAsync(ClusterAllocator allocator, HostRange range)
    {
        await allocator.Mutex.EnterAsync();
        using AsyncMutex.Turn turn = new(allocator.Mutex);
        long first = range.Offset >> _layout.ClusterBits;
        for (long cluster = first; cluster < first + range.Count; cluster++)
        {
            long index = cluster >> _layout.RefcountBlockBits;
            int result = refcounts.Exists(index)
                ? await refcounts.LoadAsync((int)index)
                : await image.Health.MarkCorruptAsync();
            if (result < 0)
            {
                return result;
            }

            ulong count = refcounts.GetCount(cluster);
            if (count == 0)
            {
                return await image.Health.MarkCorruptAsync();
            }

            if (count == 1)
            {
                HostRange.Append(_unused, new HostRange(cluster << _layout.ClusterBits, 1), _layout.ClusterSize);
            }
            else
            {
                refcounts.SetCount(cluster, count - 1);
            }
        }

        return 0;
    }

    private async IoTask<int> FreeAsync(ClusterAllocator allocator)
    {
        await allocator.Mutex.EnterAsync();
        using AsyncMutex.Turn turn = new(allocator.Mutex);
        foreach (HostRange unused in _unused)
        {
            image.Metadata.Remove(unused);
            long first = unused.Offset >> _layout.ClusterBits;
            for (long cluster = first; cluster < first + unused.Count; cluster++)
            {
                int result = await refcounts.LoadAsync((int)(cluster >> _layout.RefcountBlockBits));
                if (result < 0)
                {
                    return result;
                }

                refcounts.SetCount(cluster, 0);
            }

            allocator.NoteFree(first);
            image.Statistics.Frees.Add(unused.Count);
        }

        return 0;
    }
}
