using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.Metadata;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Data;

/// <summary>Writes data that has no place of its own in the image yet: gets one, fills it, and enters it in the L2 table.</summary>
/// <remarks>
/// The clusters are taken meanwhile (<see cref="GuestRange"/>), so that no other write gets another place for them. Reads go on
/// finding what was there before, until the entry changes.
/// </remarks>
internal sealed class AllocatingWriter(
    ImageState image, ClusterMap map, TableWriter tables, ClusterAllocator allocator, CopyOnWrite filler, MetadataFlusher flusher)
{
    private readonly ClusterLayout _layout = image.Layout;

    /// <summary>Writes some of a buffer, from its beginning.</summary>
    /// <returns>Bytes written, 0 if the caller is to look again where they belong, or a negative errno.</returns>
    public IoTask<int> WriteAsync(IoBuffer buffer, long offset) =>
        TryTake(offset, buffer.Length, out GuestRange? range, out L2Entry old, out IoTask<int> wait)
            ? PlaceAsync(range!, old, buffer, offset)
            : AwaitAsync(wait);

    /// <summary>Writes a buffer where the image still has nothing of its own.</summary>
    /// <param name="buffer">What is read there from the backing file.</param>
    /// <param name="offset">The first byte, of a range within a cluster.</param>
    /// <returns>Bytes written, 0 if the caller is to look again what is there, or a negative errno.</returns>
    public IoTask<int> FillAsync(IoBuffer buffer, long offset)
    {
        if (!TryTake(offset, buffer.Length, out GuestRange? range, out L2Entry old, out IoTask<int> wait))
        {
            return AwaitAsync(wait);
        }

        // Once it is taken, nothing else gets a place in the range.
        Extent extent = map.Find(offset, buffer.Length);
        if (extent.Kind == ExtentKind.Unallocated && extent.Length == buffer.Length)
        {
            return PlaceAsync(range!, old, buffer, offset);
        }

        Release(range!, isUnused: false);
        return 0;
    }

    // Lets go of the range at its end.
    private async IoTask<int> PlaceAsync(GuestRange range, L2Entry old, IoBuffer buffer, long offset)
    {
        bool isInPlace = map.IsWritableInPlace(old);
        bool hasNewPlace = false;
        int result = -Libc.EIO;
        try
        {
            result = await AllocateAsync(range, old, isInPlace);
            if (result < 0)
            {
                return result;
            }

            hasNewPlace = !isInPlace && !image.HasDataFile;
            int length = (int)long.Min(buffer.Length, ((range.First + range.Count) << _layout.ClusterBits) - offset);
            CopyOnWritePlan plan = CopyOnWritePlan.For(_layout, offset, length, old, isInPlace);
            result = await filler.WriteAsync(buffer.Slice(0, length), offset, plan, range);
            result = result < 0 ? result : await EnterAsync(range, plan);
            return result < 0 ? result : length;
        }
        finally
        {
            Release(range, isUnused: hasNewPlace && result < 0);
        }
    }

    private static async IoTask<int> AwaitAsync(IoTask<int> wait) => int.Min(await wait, 0);

    // Takes the clusters from the offset on that are in the same case as the first, or says what to wait for.
    private bool TryTake(long offset, int length, out GuestRange? range, out L2Entry first, out IoTask<int> wait)
    {
        range = null;
        first = default;
        lock (image.Lock)
        {
            if (tables.Find(offset) is { } table)
            {
                long cluster = offset >> _layout.ClusterBits;
                if (image.Allocating.FindOverlap(cluster, 1) is { } other)
                {
                    wait = other.WaitAsync();
                    return false;
                }

                wait = default;
                ExtentKind kind = map.Find(offset, 1).Kind;
                if (kind is ExtentKind.Data or ExtentKind.Invalid or ExtentKind.NotCached)
                {
                    return false;
                }

                int index = _layout.L2Index(offset);
                first = table.Read(index);
                int count = 1;
                if (!map.IsWritableInPlace(first))
                {
                    long end = (offset + length - 1) >> _layout.ClusterBits;
                    while (cluster + count <= end && index + count < _layout.L2Entries
                        && CanFollow(table.Read(index + count)) && image.Allocating.FindOverlap(cluster + count, 1) is null)
                    {
                        count++;
                    }
                }

                range = image.Allocating.Add(cluster, count);
                return true;
            }
        }

        wait = tables.PrepareAsync(offset);
        return false;
    }

    // What must be copied from a cluster with subclusters is known of the first alone.
    private bool CanFollow(L2Entry entry) => !map.IsWritableInPlace(entry)
        && (!_layout.HasExtendedL2 || (entry.AllocatedSubclusters == 0 && !entry.IsCompressed));

    private IoTask<int> AllocateAsync(GuestRange range, L2Entry old, bool isInPlace)
    {
        if (!isInPlace && !image.HasDataFile)
        {
            return allocator.AllocateAsync(range);
        }

        range.IsVirgin = false;
        range.HostOffset = isInPlace ? old.Offset : range.First << _layout.ClusterBits;
        return 0;
    }

    private async IoTask<int> EnterAsync(GuestRange range, CopyOnWritePlan plan)
    {
        long offset = range.First << _layout.ClusterBits;
        while (true)
        {
            bool isFull;
            lock (image.Lock)
            {
                isFull = image.Journal?.HasRoom(4) == false;
                if (!isFull && tables.Find(offset) is { } table)
                {
                    int index = _layout.L2Index(offset);
                    for (int number = 0; number < range.Count; number++)
                    {
                        long place = range.HostOffset + ((long)number << _layout.ClusterBits);
                        tables.Change(table, index + number,
                            L2Entry.At(place, plan.SubclustersOf(_layout, range.First + number, table.Read(index + number))));
                    }

                    return 0;
                }
            }

            int result = isFull ? await flusher.FlushAsync() : await tables.PrepareAsync(offset);
            if (result < 0)
            {
                return result;
            }
        }
    }

    // A new place that was not used after all is given back.
    private void Release(GuestRange range, bool isUnused)
    {
        QueueWaiter? waiters;
        lock (image.Lock)
        {
            if (isUnused)
            {
                image.Freed.AddUnreferenced(new HostRange(range.HostOffset, range.Count), image.Epochs.Current);
            }

            waiters = image.Allocating.Remove(range);
        }

        QueueWaiter.WakeAll(waiters, 0);
    }
}
