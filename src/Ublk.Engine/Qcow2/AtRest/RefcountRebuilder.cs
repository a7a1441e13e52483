using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>Brings the reference counts in the file to what they should be, and makes room for more of them.</summary>
/// <remarks>The table is replaced as a whole where it is too small, by a write of the header.</remarks>
/// <param name="image">The image.</param>
/// <param name="counts">What the counts should be. Blocks and tables that are made are counted there, too.</param>
/// <param name="blocks">The refcount table as far as it is of use.</param>
/// <param name="isTableLost">Whether the table, which is not counted then, must get another place in any case.</param>
internal sealed class RefcountRebuilder(Qcow2File image, CountedReferences counts, RefcountTableEntry[] blocks, bool isTableLost)
{
    private readonly ClusterLayout _layout = image.Layout;
    private readonly SortedSet<long> _wanted = [];
    private RefcountTableEntry[] _stored = isTableLost ? [] : image.ReadRefcountTable();
    private RefcountTableEntry[] _blocks = [.. blocks];
    private bool _isTableLost = isTableLost;

    /// <summary>Writes what differs.</summary>
    /// <param name="onlyIncrease">Whether counts that are too high stay as they are for now.</param>
    /// <exception cref="UblkException">
    /// A count is too large for its width, the table for an image, or the file cannot be written.
    /// </exception>
    public void Write(bool onlyIncrease)
    {
        WantBlocks();
        long newTable = AllocateTable();
        RequireRoomForCounts();
        foreach (long index in _wanted)
        {
            WriteBlock(index, onlyIncrease);
        }

        image.File.Flush();
        if (newTable != 0)
        {
            WriteTable(newTable);
            image.File.Flush();
            SwitchTable(newTable, onlyIncrease);
        }
        else if (!_blocks.AsSpan().SequenceEqual(_stored))
        {
            WriteTable(image.Header.RefcountTableOffset);
        }

        image.File.Flush();
        _stored = [.. _blocks];
    }

    // The blocks that are there, and those with something to count.
    private void WantBlocks()
    {
        for (long index = 0; index < _blocks.Length; index++)
        {
            if (IsThere(index))
            {
                _wanted.Add(index);
            }
        }

        foreach (long index in counts.BlocksIn(_layout).ToList())
        {
            if (!_wanted.Contains(index) && counts.GreatestIn(_layout, index) > 0)
            {
                Want(index);
            }
        }
    }

    // A new block takes a cluster, which a block has to count, which may be itself.
    private void Want(long index)
    {
        while (_wanted.Add(index) && !IsThere(index))
        {
            if (index >= _blocks.Length)
            {
                Array.Resize(ref _blocks, (int)index + 1);
            }

            long cluster = counts.Allocate(1);
            _blocks[index] = new RefcountTableEntry((ulong)(cluster << _layout.ClusterBits));
            index = cluster >> _layout.RefcountBlockBits;
        }
    }

    // Finds a new place for the table if it needs one; 0 if not.
    private long AllocateTable()
    {
        long table = 0;
        for (long placed = 0; _blocks.Length > _stored.Length;)
        {
            long needed = _layout.ClustersFor(_blocks.Length * 8L);
            if (needed <= placed)
            {
                break;
            }

            if (needed << _layout.ClusterBits > HeaderRules.MaxRefcountTableBytes)
            {
                throw ImageError.NotSupported(image.File.Path, "would need too large a refcount table. Choose larger clusters.");
            }

            counts.Add(table >> _layout.ClusterBits, placed, -1);
            long first = counts.Allocate(needed);
            for (long cluster = first; cluster < first + needed; cluster++)
            {
                Want(cluster >> _layout.RefcountBlockBits);
            }

            (table, placed) = (first << _layout.ClusterBits, needed);
        }

        return table;
    }

    private void SwitchTable(long newTable, bool onlyIncrease)
    {
        long first = image.Header.RefcountTableOffset >> _layout.ClusterBits;
        long end = first + image.Header.RefcountTableClusters;
        image.WriteHeader(image.Header with
        {
            RefcountTableOffset = newTable,
            RefcountTableClusters = (int)_layout.ClustersFor(_blocks.Length * 8L),
        });
        _stored = [.. _blocks];
        if (_isTableLost)
        {
            _isTableLost = false;
            return;
        }

        counts.Add(first, end - first, -1);
        for (long index = first >> _layout.RefcountBlockBits; index <= (end - 1) >> _layout.RefcountBlockBits; index++)
        {
            WriteBlock(index, onlyIncrease);
        }
    }

    private bool IsThere(long index) => index < _blocks.Length && _blocks[index].Raw != 0;

    // Before anything is written.
    private void RequireRoomForCounts()
    {
        if (_wanted.Any(index => counts.GreatestIn(_layout, index) > _layout.MaxRefcount))
        {
            throw ImageError.NotSupported(image.File.Path,
                $"counts references with {1 << _layout.RefcountOrder} bits, too few for this. "
                    + "Convert it into an image with -RefcountBits 16.");
        }
    }

    private void WriteBlock(long index, bool onlyIncrease)
    {
        byte[] block = new byte[_layout.ClusterSize];
        bool isStored = index < _stored.Length && _stored[index] == _blocks[index];
        if (isStored)
        {
            image.File.Read(block, _blocks[index].Offset);
        }

        byte[] before = [.. block];
        long first = index << _layout.RefcountBlockBits;
        for (int entry = 0; entry < _layout.RefcountBlockEntries; entry++)
        {
            ulong count = counts[first + entry];
            if (!onlyIncrease || count > RefcountBlock.Get(block, _layout.RefcountOrder, entry))
            {
                RefcountBlock.Set(block, _layout.RefcountOrder, entry, count);
            }
        }

        if (!isStored || !block.AsSpan().SequenceEqual(before))
        {
            image.File.Write(block, _blocks[index].Offset);
        }
    }

    private void WriteTable(long offset)
    {
        long clusters = _layout.ClustersFor(_blocks.Length * 8L);
        RefcountTableEntry[] table = new RefcountTableEntry[clusters * _layout.RefcountTableEntriesPerCluster];
        _blocks.CopyTo(table, 0);
        image.WriteTable<RefcountTableEntry>(offset, table);
    }
}
