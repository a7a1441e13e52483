using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Metadata;

/// <summary>Moves a refcount table that is full to a larger place. It happens each time the file has grown by half.</summary>
/// <remarks>Used under the allocator's mutex.</remarks>
internal sealed class RefcountTableGrowth(ImageState image, RefcountCache refcounts)
{
    private readonly ClusterLayout _layout = image.Layout;

    /// <summary>Makes room for a block and more.</summary>
    /// <remarks>
    /// The new table lies where the old one's reach ends, with the blocks that count it before it. Blocks are durable before the
    /// table that points to them, and the table before the header that points to it.
    /// </remarks>
    /// <param name="index">The block that is wanted; all before the table's end are in use.</param>
    /// <returns>0 or a negative errno; -EFBIG where the image can have no larger one.</returns>
    public async IoTask<int> GrowAsync(int index)
    {
        int perCluster = _layout.RefcountTableEntriesPerCluster;
        long firstBlock = refcounts.Table.Entries.Length;
        long clusters = (((firstBlock * 3 / 2) + perCluster) / perCluster) + 1;
        if (index > firstBlock || clusters << _layout.ClusterBits > HeaderRules.MaxRefcountTableBytes)
        {
            return -Libc.EFBIG;
        }

        long first = firstBlock << _layout.RefcountBlockBits;
        long blocks = 1;
        while (blocks << _layout.RefcountBlockBits < blocks + clusters)
        {
            blocks++;
        }

        HostRange area = new(first << _layout.ClusterBits, blocks + clusters);
        int result = await image.File.AllocateAsync(0, area.Offset, area.Count << _layout.ClusterBits);
        if (result is < 0 and not (-Libc.EOPNOTSUPP or -Libc.ENODEV))
        {
            return result;
        }

        if (!image.Metadata.Add(area))
        {
            return await image.Health.MarkCorruptAsync();
        }

        ulong[] entries = new ulong[clusters * perCluster];
        refcounts.Table.Entries.CopyTo(entries);
        EntryTable table = new(entries, area.Offset + (blocks << _layout.ClusterBits));
        result = await WriteBlocksAsync(entries, area, (int)firstBlock, (int)blocks);
        result = result < 0 ? result : await refcounts.WriteThroughAsync();
        result = result < 0 ? result : await WriteTableAsync(table);
        if (result < 0)
        {
            image.Metadata.Remove(area);
            return result;
        }

        result = await image.File.SyncAsync();
        result = result < 0 ? result : await image.HeaderBlock!.SetRefcountTableAsync(table.Offset, (int)clusters);
        if (result < 0)
        {
            // Which table the file has now is unknown.
            return image.Health.MarkLost(result);
        }

        lock (image.Lock)
        {
            image.Freed.Add(new HostRange(refcounts.Table.Offset, firstBlock / perCluster));
        }

        refcounts.Table = table;
        return 0;
    }

    private async IoTask<int> WriteBlocksAsync(ulong[] entries, HostRange area, int firstBlock, int blocks)
    {
        using AlignedBuffer buffer = new(_layout.ClusterSize);
        long rest = area.Count;
        int result = 0;
        for (int block = 0; block < blocks && result == 0; block++)
        {
            buffer.Span.Clear();
            int used = (int)long.Min(rest, _layout.RefcountBlockEntries);
            for (int place = 0; place < used; place++)
            {
                RefcountBlock.Set(buffer.Span, _layout.RefcountOrder, place, 1);
            }

            rest -= used;
            long offset = area.Offset + ((long)block << _layout.ClusterBits);
            entries[firstBlock + block] = (ulong)offset;
            result = await image.File.WriteAsync(buffer.Part(0, buffer.Length), offset);
        }

        return result;
    }

    private async IoTask<int> WriteTableAsync(EntryTable table)
    {
        using AlignedBuffer buffer = new(table.Entries.Length * 8);
        table.CopyTo(buffer.Span, 0);
        return await image.File.WriteAsync(buffer.Part(0, buffer.Length), table.Offset);
    }
}
