using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Ublk.Io;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Metadata;

/// <summary>The refcount table, whole, and the refcount blocks used last. Used under the allocator's mutex.</summary>
internal sealed class RefcountCache : IDisposable
{
    private readonly Dictionary<int, RefcountCacheBlock> _blocks = [];
    private readonly List<RefcountCacheBlock> _all = [];
    private readonly ImageState _image;
    private readonly ClusterLayout _layout;
    private readonly int _capacity;
    private RefcountTableEntry[] _table;
    private DirtyRange _tableDirty;
    private int _hand;

    /// <summary>Wraps a table that was read.</summary>
    /// <param name="image">The image.</param>
    /// <param name="table">The refcount table's entries, in this machine's byte order.</param>
    /// <param name="capacity">Blocks to keep in memory, at least 2.</param>
    public RefcountCache(ImageState image, RefcountTableEntry[] table, int capacity)
    {
        _image = image;
        _layout = image.Layout;
        _table = table;
        _capacity = capacity;
        TableOffset = image.Header.RefcountTableOffset;
    }

    /// <summary>Blocks the table has room for.</summary>
    public int TableLength => _table.Length;

    /// <summary>Where the table is in the file.</summary>
    public long TableOffset { get; private set; }

    /// <summary>Clusters of the table.</summary>
    public int TableClusters => _table.Length / _layout.RefcountTableEntriesPerCluster;

    /// <summary>Whether a block exists.</summary>
    public bool Exists(long index) => index < _table.Length && _table[index].Offset != 0;

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
    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    public async ValueTask<int> LoadAsync(int index)
    {
        if (_blocks.TryGetValue(index, out RefcountCacheBlock? block))
        {
            block.IsReferenced = true;
            return 0;
        }

        RefcountTableEntry entry = _table[index];
        if (entry.Offset <= 0 || !_layout.IsAligned(entry.Offset) || entry.Offset >= _image.File.Length)
        {
            return await _image.Health.MarkCorruptAsync();
        }

        block = FindFree();
        if (block.Dirty.IsDirty)
        {
            Range range = block.Dirty.Take(_image.WriteUnit, _layout.ClusterSize);
            int written = await WriteAsync(block, range);
            block.Dirty.Settle(written == 0);
            if (written < 0)
            {
                return written;
            }
        }

        _blocks.Remove(block.Index);
        int result = await _image.File.ReadAsync(block.Buffer.Part(0, _layout.ClusterSize), entry.Offset);
        Install(block, index, entry.Offset, isKnown: result == 0);
        return result;
    }

    /// <summary>Makes a block, all of whose counts are 0.</summary>
    /// <param name="index">Which block.</param>
    /// <param name="offset">The cluster it gets.</param>
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
        block.IsNew = true;
        block.Dirty.Mark(0, _layout.ClusterSize);
        _table[index] = new RefcountTableEntry((ulong)offset);
        _tableDirty.Mark(index * 8, 8);
        lock (_image.Lock)
        {
            _image.Journal?.AddRefcountBlock(index, offset);
        }
    }

    /// <summary>Copies what changed, for a flush.</summary>
    /// <param name="blocks">Gets the changed blocks.</param>
    /// <param name="table">Gets the table's entries of new blocks, which go to the file after them.</param>
    public void Stage(StagedWrites blocks, StagedWrites table)
    {
        foreach (RefcountCacheBlock block in _all)
        {
            if (block.Dirty.IsDirty)
            {
                Range range = block.Dirty.Take(_image.WriteUnit, _layout.ClusterSize);
                blocks.Add(block.Buffer.Span[range], block.HostOffset + range.Start.Value);
            }
        }

        if (_tableDirty.IsDirty)
        {
            Range range = _tableDirty.Take(_image.WriteUnit, _table.Length * 8);
            table.Add(TableBytes(range), TableOffset + range.Start.Value);
        }
    }

    /// <summary>A flush has ended.</summary>
    public void Settle(bool succeeded)
    {
        foreach (RefcountCacheBlock block in _all)
        {
            block.IsNew &= !(succeeded && block.Dirty.IsInFlush);
            block.Dirty.Settle(succeeded);
        }

        _tableDirty.Settle(succeeded);
    }

    /// <summary>Writes every changed block, whatever a flush does meanwhile; they stay marked as changed.</summary>
    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    public async ValueTask<int> WriteThroughAsync()
    {
        for (int place = 0; place < _all.Count; place++)
        {
            RefcountCacheBlock block = _all[place];
            int result = block.Dirty.IsClean ? 0 : await WriteAsync(block, ..);
            if (result < 0)
            {
                return result;
            }
        }

        return 0;
    }

    /// <summary>Takes a larger table, which is in the file already.</summary>
    public void MoveTable(RefcountTableEntry[] table, long offset)
    {
        _table = table;
        TableOffset = offset;
    }

    /// <summary>The table's entries, with room for more.</summary>
    public RefcountTableEntry[] CopyTable(int length)
    {
        RefcountTableEntry[] table = new RefcountTableEntry[length];
        _table.CopyTo(table, 0);
        return table;
    }

    /// <inheritdoc/>
    public void Dispose() => _all.ForEach(block => block.Buffer.Dispose());

    private RefcountCacheBlock BlockOf(long cluster) => _blocks[(int)(cluster >> _layout.RefcountBlockBits)];

    private int PlaceOf(long cluster) => (int)(cluster & (_layout.RefcountBlockEntries - 1));

    private ValueTask<int> WriteAsync(RefcountCacheBlock block, Range range)
    {
        (int start, int length) = range.GetOffsetAndLength(_layout.ClusterSize);
        return _image.File.WriteAsync(block.Buffer.Part(start, length), block.HostOffset + start);
    }

    private byte[] TableBytes(Range range)
    {
        byte[] bytes = new byte[range.End.Value - range.Start.Value];
        for (int place = 0; place < bytes.Length; place += 8)
        {
            BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(place), _table[(range.Start.Value + place) / 8].Raw);
        }

        return bytes;
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
        if (_all.Count < _capacity)
        {
            return Add();
        }

        for (int tries = 0; tries < 2 * _all.Count; tries++)
        {
            RefcountCacheBlock block = _all[_hand++ % _all.Count];
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
        RefcountCacheBlock block = new(_layout.ClusterSize) { Index = -1 };
        _all.Add(block);
        return block;
    }
}

/// <summary>A refcount block in memory. Used under the allocator's mutex.</summary>
internal sealed class RefcountCacheBlock(int length)
{
    /// <summary>Where the block stands in the file; see <see cref="DirtyRange"/>.</summary>
    public DirtyRange Dirty;

    /// <summary>The counts, as they are in the file.</summary>
    public AlignedBuffer Buffer { get; } = new(length);

    /// <summary>Which block of the image it is.</summary>
    public int Index { get; set; }

    /// <summary>Where it is in the file.</summary>
    public long HostOffset { get; set; }

    /// <summary>Whether the refcount table in the file does not point to it yet.</summary>
    public bool IsNew { get; set; }

    /// <summary>Whether it was used since the cache last looked for one to give up.</summary>
    public bool IsReferenced { get; set; }
}
