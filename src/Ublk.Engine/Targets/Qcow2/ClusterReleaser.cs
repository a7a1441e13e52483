using System.Runtime.CompilerServices;
using Ublk.Interop;
using Ublk.Serving;
using Ublk.Targets.Qcow2.Format;

namespace Ublk.Targets.Qcow2;

/// <summary>Takes clusters of the image file back, once no request uses them any more and the file has forgotten them.</summary>
/// <param name="image">The image.</param>
/// <param name="refcounts">Its counts.</param>
/// <param name="punchesHoles">Whether free clusters become holes of the host's file.</param>
internal sealed class ClusterReleaser(ImageState image, RefcountCache refcounts, bool punchesHoles)
{
    private readonly ClusterLayout _layout = image.Layout;
    private long _firstFreed = long.MaxValue;

    /// <summary>The first cluster that became free since this was asked last; <see cref="long.MaxValue"/> for none.</summary>
    public long TakeFirstFreed()
    {
        long first = _firstFreed;
        _firstFreed = long.MaxValue;
        return first;
    }

    /// <summary>Frees what nobody uses any more; under the allocator's mutex.</summary>
    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    public async ValueTask<int> ReclaimAsync(IoQueue? queue)
    {
        while (TakeFreed(out HostRange range))
        {
            int result = await ReleaseAsync(queue, range);
            if (result < 0)
            {
                return result;
            }
        }

        return 0;
    }

    private bool TakeFreed(out HostRange range)
    {
        lock (image.Gate)
        {
            if (!image.Freed.HasWaiting)
            {
                range = default;
                return false;
            }

            image.Epochs.TryAdvance();
            return image.Freed.TryTake(image.Epochs.Current, out range);
        }
    }

    // Lowers counts; what comes to 0 is emptied before anybody can get it.
    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<int> ReleaseAsync(IoQueue? queue, HostRange range)
    {
        long first = range.Offset >> _layout.ClusterBits;
        long end = first + range.Count;
        long freeFrom = first;
        for (long cluster = first; cluster <= end; cluster++)
        {
            ulong count = 0;
            if (cluster < end)
            {
                long index = cluster >> _layout.RefcountBlockBits;
                int result = refcounts.Exists(index)
                    ? await refcounts.LoadAsync(queue, (int)index)
                    : await image.Health.MarkCorruptAsync(queue);
                if (result < 0)
                {
                    return result;
                }

                count = refcounts.GetCount(cluster);
                if (count == 0)
                {
                    return await image.Health.MarkCorruptAsync(queue);
                }
            }

            if (cluster == end || count > 1)
            {
                // Where it fails on the way, the rest is lost, and not free.
                int result = await EmptyAsync(queue, freeFrom, cluster);
                if (result >= 0 && cluster < end)
                {
                    result = await refcounts.LoadAsync(queue, (int)(cluster >> _layout.RefcountBlockBits));
                }

                if (result < 0)
                {
                    return result;
                }

                if (cluster < end)
                {
                    refcounts.SetCount(cluster, count - 1);
                }

                freeFrom = cluster + 1;
            }
        }

        return 0;
    }

    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<int> EmptyAsync(IoQueue? queue, long first, long end)
    {
        if (first == end)
        {
            return 0;
        }

        HostRange range = new(first << _layout.ClusterBits, end - first);
        image.Metadata.Remove(range);
        if (punchesHoles)
        {
            // What cannot be punched is free all the same.
            await image.File.AllocateAsync(
                queue, Libc.FALLOC_FL_PUNCH_HOLE | Libc.FALLOC_FL_KEEP_SIZE, range.Offset, range.Count << _layout.ClusterBits);
        }

        for (long cluster = first; cluster < end; cluster++)
        {
            int result = await refcounts.LoadAsync(queue, (int)(cluster >> _layout.RefcountBlockBits));
            if (result < 0)
            {
                return result;
            }

            refcounts.SetCount(cluster, 0);
        }

        _firstFreed = long.Min(_firstFreed, first);
        image.Statistics.Frees.Add(range.Count);
        return 0;
    }
}
