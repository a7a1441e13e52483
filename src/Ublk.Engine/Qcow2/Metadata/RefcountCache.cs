using Ublk.Io;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Metadata;

/// <summary>The refcount table, whole, and the refcount blocks used last. Used under the allocator's mutex.</summary>
/// <param name="image">The image.</param>
/// <param name="table">The refcount table.</param>
/// <param name="capacity">Blocks to keep in memory, at least 2.</param>
internal sealed class RefcountCache(ImageState image, EntryTable table, int capacity) : IDisposable
{
    private readonly Dictionary<int, RefcountCacheBlock> _blocks = [];
    private readonly List<RefcountCacheBlock> _all = [];
    private readonly ClusterLayout _layout = image.Layout;
    private int _hand;

    /// <summary>The refcount table. A larger one that takes its place is in the file already.</summary>
    public EntryTable Table { get; set; } = table;

    /// <summary>Whether a block exists.</summary>
    public bool Exists(long index) => index < Table.Entries.Length && OffsetOf(index) != 0;

    /// <summary>A block that <see cref="LoadAsync"/> brought into memory since the mutex was taken.</summary>
    public RefcountCacheBlock this[int index] => _blocks[index];

    /// <summary>The count of a cluster whose block is in memory.</summary>
    public ulong GetCount(long cluster) => RefcountBlock.Get(BlockOf(cluster).Buffer.Span, _layout.RefcountOrder, PlaceOf(cluster));

    /// <summary>Changes the count of a cluster whose block is in memory.</summary>
    public void SetCount(long cluster, ulong count)
    {
        RefcountCacheBlock block = BlockOf(cluster);
        int place = PlaceOf(cluster);
        RefcountBlock.Set(block.Buffer.Span, _layout.RefcountOrder, place, count);
        block.Dirty.Mark(place << _layout.RefcountOrder >> 3, int.Max(1, 1 << _layout.RefcountOrder >> 3));
    }

    /// <summary>Brings a block into memory.</summary>
    /// <returns>0 or a negative errno; -EIO too where the table lies.</returns>
    public async IoTask<int> LoadAsync(int index)
    {
        if (_blocks.TryGetValue(index, out RefcountCacheBlock? block))
        {
            block.IsReferenced = true;
            return 0;
        }

        long offset = OffsetOf(index);
        if (offset <= 0 || !_layout.IsAligned(offset) || offset >= image.File.Length)
        {
            return await image.Health.MarkCorruptAsync();
        }

        block = FindFree();
        if (block.Dirty.IsDirty)
        {
            int written = await WriteAsync(block, block.Dirty.Take(image.WriteUnit, _layout.ClusterSize));
            block.Dirty.Settle(written == 0);
            if (written < 0)
            {
                return written;
            }
        }

        _blocks.Remove(block.Index);
        int result = await image.File.ReadAsync(block.Buffer.Part(0, _layout.ClusterSize), offset);
        Install(block, index, offset, isKnown: result == 0);
        return result;
    }

    /// <summary>Makes a block, all of whose counts are 0, in a cluster.</summary>
    public void Create(int index, long offset)
    {
        // One that must be written first stays where it is.
        RefcountCacheBlock block = FindFree();
        if (!block.Dirty.IsClean)
        {
            block = Add();
        }

        _blocks.Remove(block.Index);
        block.Buffer.Span.Clear();
        Install(block, index, offset, isKnown: true);
        block.MarkNew();
        Table.Set(index, (ulong)offset);
        lock (image.Lock)
        {
            image.Journal?.AddRefcountBlock(index, offset);
        }
    }

    /// <summary>Copies what changed, for a flush.</summary>
    /// <param name="blocks">Gets the changed blocks.</param>
    /// <param name="newBlocks">Gets the table's entries of new blocks, which go to the file after them.</param>
    public void Stage(StagedWrites blocks, StagedWrites newBlocks)
    {
        foreach (RefcountCacheBlock block in _all)
        {
            block.Stage(blocks, image.WriteUnit);
        }

        Table.Stage(newBlocks, image.WriteUnit);
    }

    /// <summary>A flush has ended.</summary>
    public void Settle(bool succeeded)
    {
        foreach (RefcountCacheBlock block in _all)
        {
            block.IsNew &= !(succeeded && block.Dirty.IsInFlush);
            block.Dirty.Settle(succeeded);
        }

        Table.Settle(succeeded);
    }

    /// <summary>Writes every changed block, whatever a flush does meanwhile; they stay marked as changed.</summary>
    public async IoTask<int> WriteThroughAsync()
    {
        int result = 0;
        for (int place = 0; place < _all.Count && result == 0; place++)
        {
            RefcountCacheBlock block = _all[place];
            result = block.Dirty.IsClean ? 0 : await WriteAsync(block, ..);
        }

        return result;
    }

    /// <inheritdoc/>
    public void Dispose() => _all.ForEach(block => block.Dispose());

    private long OffsetOf(long index) => new RefcountTableEntry(Table[index]).Offset;

    private RefcountCacheBlock BlockOf(long cluster) => _blocks[(int)(cluster >> _layout.RefcountBlockBits)];

    private int PlaceOf(long cluster) => (int)(cluster & (_layout.RefcountBlockEntries - 1));

    private IoTask<int> WriteAsync(RefcountCacheBlock block, Range range)
    {
        (int start, int length) = range.GetOffsetAndLength(_layout.ClusterSize);
        return image.File.WriteAsync(block.Buffer.Part(start, length), block.HostOffset + start);
    }

    private void Install(RefcountCacheBlock block, int index, long offset, bool isKnown)
    {
        block.Index = isKnown ? index : -1;
        block.HostOffset = offset;
        block.IsReferenced = true;
        block.IsNew = false;
        if (isKnown)
        {
            _blocks[index] = block;
        }
    }

    // New blocks wait for the next flush, and what a flush writes must not be overtaken; the cache grows rather.
    private RefcountCacheBlock FindFree()
    {
        if (_all.Count < capacity)
        {
            return Add();
        }

        for (int tries = 0; tries < 2 * _all.Count; tries++)
        {
            _hand = _hand + 1 >= _all.Count ? 0 : _hand + 1;
            RefcountCacheBlock block = _all[_hand];
            if (block.IsReferenced)
            {
                block.IsReferenced = false;
            }
            else if (!block.IsNew && !block.Dirty.IsInFlush)
            {
                return block;
            }
        }

        return Add();
    }

    private RefcountCacheBlock Add()
    {
        RefcountCacheBlock block = new(_layout.ClusterSize);
        _all.Add(block);
        return block;
    }
}

/// <summary>A refcount block in memory. Used under the allocator's mutex.</summary>
internal sealed class RefcountCacheBlock(int length) : CachedCluster(length)
{
    /// <summary>Which block of the image it is; -1 for none.</summary>
    public int Index { get; set; } = -1;
}
