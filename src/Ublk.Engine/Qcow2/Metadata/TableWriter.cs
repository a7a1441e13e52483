using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Metadata;

/// <summary>Sees to it that the L2 table for a part of the disk is in memory and may be changed, and changes it.</summary>
internal sealed class TableWriter(ImageState image, L2Cache tables, ClusterAllocator allocator)
{
    private readonly ClusterLayout _layout = image.Layout;

    // One table is made at a time.
    private readonly AsyncMutex _mutex = new();

    /// <summary>The table for an offset if it is in memory and may be changed; under the lock.</summary>
    public L2Table? Find(long offset)
    {
        int l1Index = _layout.L1Index(offset);
        return tables.L1Of(l1Index).IsCopied ? tables.Find(l1Index) : null;
    }

    /// <summary>Makes it so that <see cref="Find"/> finds the table, unless it is gone again by then.</summary>
    /// <returns>0 or a negative errno.</returns>
    public async IoTask<int> PrepareAsync(long offset)
    {
        int l1Index = _layout.L1Index(offset);
        if (tables.L1Of(l1Index).IsCopied)
        {
            return await tables.LoadAsync(l1Index);
        }

        await _mutex.EnterAsync();
        using AsyncMutex.Turn turn = new(_mutex);
        L1Entry entry = tables.L1Of(l1Index);
        return entry.IsCopied ? 0
            : entry.Offset == 0 ? await CreateAtAsync(l1Index, 0)
            : await MoveAsync(l1Index);
    }

    /// <summary>
    /// Changes an entry of a table that <see cref="Find"/> found; under the lock. What it pointed to loses the reference.
    /// </summary>
    public void Change(L2Table table, int index, L2Entry entry)
    {
        L2Entry old = table.Read(index);
        table.BeginChange();
        table.Write(index, entry);
        table.EndChange();
        tables.NoteChange();
        image.Journal?.AddEntry(((long)table.L1Index << _layout.L2Bits) + index, old, entry);
        (long offset, long length) = old.ReferenceIn(_layout);
        if (length > 0 && (old.IsCompressed || entry.IsCompressed || entry.Offset != old.Offset))
        {
            (long first, long count) = _layout.ClustersOf(offset, length);
            if (image.Metadata.Overlaps(first << _layout.ClusterBits, count << _layout.ClusterBits))
            {
                // The entry was damaged: its clusters are the image's own. They are lost to the disk until a repair.
                return;
            }

            image.Freed.Add(new HostRange(first << _layout.ClusterBits, count));
        }
    }

    /// <summary>Makes a table, all of whose clusters are unallocated.</summary>
    /// <param name="l1Index">Its L1 entry, which has none.</param>
    /// <param name="offset">Its place; 0 for a new one.</param>
    public async IoTask<int> CreateAtAsync(int l1Index, long offset)
    {
        L2Table? table = null;
        while (table is null)
        {
            int result = await tables.TakeAsync(out table);
            if (result < 0)
            {
                return result;
            }
        }

        bool isPublished = false;
        try
        {
            offset = offset != 0 ? offset : await allocator.AllocateMetadataAsync();
            if (offset < 0)
            {
                return (int)offset;
            }

            table.Buffer.Span.Clear();
            lock (image.Lock)
            {
                tables.Publish(table, l1Index, offset);
                isPublished = true;
            }

            return 0;
        }
        finally
        {
            if (!isPublished)
            {
                tables.Trim(table);
            }
        }
    }

    /// <summary>Gives a table another place, and leaves the one it had to whatever else refers to it.</summary>
    public async IoTask<int> MoveToAsync(int l1Index, long offset)
    {
        while (true)
        {
            int result = await tables.LoadAsync(l1Index);
            if (result < 0)
            {
                return result;
            }

            lock (image.Lock)
            {
                if (tables.Find(l1Index) is { } table)
                {
                    image.Freed.Add(new HostRange(table.HostOffset, 1));
                    tables.Move(table, offset);
                    return 0;
                }
            }
        }
    }

    private async IoTask<int> MoveAsync(int l1Index)
    {
        long offset = await allocator.AllocateMetadataAsync();
        if (offset < 0)
        {
            return (int)offset;
        }

        int result = -Libc.EIO;
        try
        {
            return result = await MoveToAsync(l1Index, offset);
        }
        finally
        {
            if (result < 0)
            {
                lock (image.Lock)
                {
                    image.Freed.AddUnreferenced(new HostRange(offset, 1), image.Epochs.Current);
                }
            }
        }
    }
}
