using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Metadata;

/// <summary>Gives clusters of the image file away.</summary>
internal sealed class ClusterAllocator(ImageState image, RefcountCache refcounts, bool punchesHoles)
{
    // Each allocation frees as much as it takes, and some more.
    private const int RangesAtAllocation = 8;

    private readonly ClusterLayout _layout = image.Layout;
    private readonly RefcountTableGrowth _growth = new(image, refcounts);
    private readonly ClusterReleaser _releaser = new(image, refcounts, punchesHoles);
    private long _cursor;
    private long _virginStart = image.File.GrowsWithZeroes ? image.Layout.ClustersFor(image.File.Length) : long.MaxValue;

    /// <summary>Protects the reference counts. Held across awaits.</summary>
    public AsyncMutex Mutex { get; } = new();

    /// <summary>Gets neighbouring clusters for data, as many as are wanted or fewer.</summary>
    /// <param name="range">Says how many are wanted; gets how many there are, and where.</param>
    /// <returns>0 or a negative errno.</returns>
    public async IoTask<int> AllocateAsync(GuestRange range)
    {
        // Without flushes, freed clusters must be reused before the file grows.
        await ReclaimAsync(RangesAtAllocation);
        await Mutex.EnterAsync();
        using AsyncMutex.Turn turn = new(Mutex);
        int result = await FindAsync(range.Count);
        if (result < 0)
        {
            return result;
        }

        long first = Take(result);
        range.Count = result;
        range.HostOffset = first << _layout.ClusterBits;
        range.IsVirgin = first >= _virginStart && !image.Data.IsEncrypted;
        NoteUsed(_cursor);
        image.Statistics.Allocations.Add(result);
        return 0;
    }

    /// <summary>Gets a cluster for metadata, with room for it on the host.</summary>
    /// <returns>Where it is, or a negative errno.</returns>
    public async IoTask<long> AllocateMetadataAsync()
    {
        await Mutex.EnterAsync();
        using AsyncMutex.Turn turn = new(Mutex);
        int result = await FindAsync(1);
        long offset = _cursor << _layout.ClusterBits;
        result = result < 0 ? result : await RequireRoomAsync(offset);
        if (result < 0)
        {
            return result;
        }

        Take(1);
        NoteUsed(_cursor);
        image.Metadata.Add(new HostRange(offset, 1));
        return offset;
    }

    /// <summary>Counts a cluster that is in use although its count may say otherwise; while the image is opened.</summary>
    /// <returns>1 if it was counted already, else 0; or a negative errno.</returns>
    public async IoTask<int> AdoptAsync(long offset)
    {
        long cluster = offset >> _layout.ClusterBits;
        int index = (int)long.Min(cluster >> _layout.RefcountBlockBits, int.MaxValue);
        if (!refcounts.Exists(index))
        {
            return -Libc.EIO;
        }

        NoteUsed(cluster + 1);
        int result = await refcounts.LoadAsync(index);
        if (result < 0 || refcounts.GetCount(cluster) > 0)
        {
            return result < 0 ? result : 1;
        }

        refcounts.SetCount(cluster, 1);
        return 0;
    }

    /// <summary>Takes a refcount block that a former worker made; while the image is opened.</summary>
    /// <returns>As <see cref="AdoptAsync"/>.</returns>
    public IoTask<int> AdoptBlockAsync(int index, long offset)
    {
        if (!refcounts.Exists(index))
        {
            image.Metadata.Add(new HostRange(offset, 1));
            refcounts.Create(index, offset);
        }

        return AdoptAsync(offset);
    }

    /// <summary>Frees clusters that are no longer in use; not under the mutex.</summary>
    /// <param name="maxRanges">The most ranges of clusters to free.</param>
    /// <returns>0 or a negative errno; what could not be freed then is lost until the image is checked.</returns>
    public IoTask<int> ReclaimAsync(int maxRanges) => _releaser.ReclaimAsync(this, maxRanges);

    /// <summary>Notes that clusters from this one on are free; under the mutex.</summary>
    public void NoteFree(long cluster) => _cursor = long.Min(_cursor, cluster);

    // Moves the cursor to free clusters. Returns how many of those wanted lie there, or a negative errno.
    private async IoTask<int> FindAsync(int wanted)
    {
        while (true)
        {
            int index = (int)long.Min(_cursor >> _layout.RefcountBlockBits, int.MaxValue);
            if (index >= refcounts.Table.Entries.Length)
            {
                int grown = await _growth.GrowAsync(index);
                if (grown < 0)
                {
                    return grown;
                }

                NoteUsed(_layout.ClustersFor(image.File.Length));
                continue;
            }

            int result = refcounts.Exists(index) ? await refcounts.LoadAsync(index) : await AddBlockAsync(index);
            if (result < 0)
            {
                return result;
            }

            int start = (int)(_cursor & (_layout.RefcountBlockEntries - 1));
            ReadOnlySpan<byte> counts = refcounts[index].Buffer.Span;
            int free = RefcountBlock.FindZero(counts, _layout.RefcountOrder, start, _layout.RefcountBlockEntries);
            _cursor += free - start;
            if (free == _layout.RefcountBlockEntries)
            {
                continue;
            }

            int count = 1;
            while (count < wanted && free + count < _layout.RefcountBlockEntries
                && RefcountBlock.Get(counts, _layout.RefcountOrder, free + count) == 0)
            {
                count++;
            }

            // A count of 0 for what is known to be metadata is wrong: the image is corrupt.
            return image.Metadata.Overlaps(_cursor << _layout.ClusterBits, (long)count << _layout.ClusterBits)
                || _cursor > (L1Entry.MaxOffset >> _layout.ClusterBits) - count
                ? await image.Health.MarkCorruptAsync()
                : count;
        }
    }

    // Nothing is in use where there is no block, so the block itself gets the first cluster.
    private async IoTask<int> AddBlockAsync(int index)
    {
        long offset = _cursor << _layout.ClusterBits;
        int result = await RequireRoomAsync(offset);
        if (result == 0 && !image.Metadata.Add(new HostRange(offset, 1)))
        {
            result = await image.Health.MarkCorruptAsync();
        }

        if (result == 0)
        {
            refcounts.Create(index, offset);
            Take(1);
            NoteUsed(_cursor);
        }

        return result;
    }

    // So that the write that allocates gets ENOSPC, and not a later write-back of metadata.
    private async IoTask<int> RequireRoomAsync(long offset)
    {
        int result = await image.File.AllocateAsync(0, offset, _layout.ClusterSize);
        return result is -Libc.EOPNOTSUPP or -Libc.ENODEV ? 0 : result;
    }

    // long.MaxValue, where nothing reads as zeroes before it is written, stays.
    private void NoteUsed(long end) => _virginStart = long.Max(_virginStart, end);

    private long Take(int count)
    {
        long first = _cursor;
        for (; _cursor < first + count; _cursor++)
        {
            refcounts.SetCount(_cursor, 1);
        }

        return first;
    }
}
