using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>Follows every reference of an image and counts them; on the way it finds those that lead nowhere.</summary>
internal sealed class MetadataWalk
{
    private readonly Qcow2File _image;
    private readonly CheckFindings _findings;
    private readonly ImageProgress _progress;
    private readonly ClusterLayout _layout;
    private readonly long _fileLength;
    private (long First, int Clusters) _countedTable;
    private long _nextOffset;

    // Clusters of L2 tables, with the L1 entries that point to each; and those of other tables, each of which has one reference.
    private readonly Dictionary<long, uint> _l2Tables = [];
    private readonly HashSet<long> _ownTables = [];

    private MetadataWalk(Qcow2File image, CheckFindings findings, ImageProgress progress)
    {
        _image = image;
        _findings = findings;
        _progress = progress;
        _layout = image.Layout;
        _fileLength = image.File.Length;
        RefcountBlocks = image.ReadRefcountTable();
    }

    /// <summary>What it counted.</summary>
    public CountedReferences Counts { get; } = new();

    /// <summary>The refcount table, without the entries that are of no use: default stands for those.</summary>
    public RefcountTableEntry[] RefcountBlocks { get; private set; }

    /// <summary>Whether the refcount table cannot be used: it and its blocks have to be made anew.</summary>
    public bool IsRefcountTableLost { get; private set; }

    /// <summary>What keeps the image from being repaired, in words: a table that shares a cluster or is cut off. Null if nothing.</summary>
    public string? Overlap { get; private set; }

    /// <summary>Clusters of the disk that have a place in the file.</summary>
    public long AllocatedClusters { get; private set; }

    /// <summary>Clusters of the disk that are compressed.</summary>
    public long CompressedClusters { get; private set; }

    /// <summary>Clusters of the disk that do not follow on the one before.</summary>
    public long FragmentedClusters { get; private set; }

    /// <summary>Follows the references of an image.</summary>
    /// <exception cref="UblkException">The image cannot be read, or its snapshot table or bitmap directory is malformed.</exception>
    public static MetadataWalk Of(Qcow2File image, CheckFindings findings, ImageProgress progress)
    {
        MetadataWalk walk = new(image, findings, progress);
        walk.Follow();
        return walk;
    }

    /// <summary>What a disk's tables refer to: each L2 table, and each cluster of data.</summary>
    /// <param name="image">The image.</param>
    /// <param name="l1">The L1 table.</param>
    /// <param name="refer">Called with the offset and the length of each reference.</param>
    /// <param name="progress">Receives the progress.</param>
    public static void Visit(Qcow2File image, ulong[] l1, Action<long, long> refer, ImageProgress progress)
    {
        ClusterLayout layout = image.Layout;
        foreach (L1Entry entry in l1.Select(raw => new L1Entry(raw)).Where(entry => entry.Offset != 0))
        {
            refer(entry.Offset, layout.ClusterSize);
            L2Words table = image.ReadL2(entry.Offset);
            for (int index = 0; index < layout.L2Entries; index++)
            {
                if (table[index].ReferenceIn(layout) is (var offset, > 0 and var length))
                {
                    refer(offset, length);
                }
            }

            progress.Advance(layout.ClusterSize);
        }
    }

    /// <summary>Gives up the refcount table and its blocks: nothing refers to them any more.</summary>
    public void ForgetRefcounts()
    {
        Counts.Add(_countedTable.First, _countedTable.Clusters, -1);
        foreach (RefcountTableEntry entry in RefcountBlocks.Where(entry => entry.Raw != 0))
        {
            Counts[entry.Offset >> _layout.ClusterBits]--;
        }

        RefcountBlocks = [];
    }

    private void Follow()
    {
        ImageHeader header = _image.Header;
        CountTable(0, _layout.ClusterSize, "The header");
        CountTable(header.L1Offset, header.L1Size * 8L, "The active L1 table");
        FollowL1(_image.ReadL1(), "the active L1 table", isActive: true);
        foreach (Snapshot snapshot in _image.Snapshots)
        {
            CountTable(snapshot.L1Offset, snapshot.L1Size * 8L, $"The L1 table of snapshot '{snapshot.Name}'");
            FollowL1(_image.ReadTable(snapshot.L1Offset, snapshot.L1Size), $"the L1 table of snapshot '{snapshot.Name}'", isActive: false);
        }

        CountTable(header.SnapshotsOffset, _image.SnapshotTableLength, "The snapshot table");
        FollowBitmaps();
        if (header.LuksArea is { } luks)
        {
            CountTable(luks.Offset, luks.Length, "The LUKS header");
        }

        FindOverlaps();
        FollowRefcounts();
    }

    private void FollowL1(ulong[] l1, string what, bool isActive)
    {
        for (int index = 0; index < l1.Length; index++)
        {
            L1Entry entry = new(l1[index]);
            _progress.Advance(8);
            if (entry.HasReservedBits)
            {
                _findings.AddDamage($"Entry {index} of {what} has bits set that must be clear.");
            }

            if (entry.Offset == 0)
            {
                if (entry.IsCopied)
                {
                    _findings.AddDamage($"Entry {index} of {what} has its copied flag set, but places no L2 table.");
                }

                continue;
            }

            if (!_image.CanHoldL2(entry.Offset))
            {
                _findings.AddDamage($"Entry {index} of {what} places an L2 table at byte {entry.Offset}, where none can be.");
                continue;
            }

            Count(entry.Offset, _layout.ClusterSize);
            long cluster = entry.Offset >> _layout.ClusterBits;
            _l2Tables[cluster] = _l2Tables.GetValueOrDefault(cluster) + 1;
            FollowL2(_image.ReadL2(entry.Offset), entry.Offset, isActive);
        }
    }

    private void FollowL2(L2Words table, long tableOffset, bool isActive)
    {
        _nextOffset = 0;
        for (int index = 0; index < _layout.L2Entries; index++)
        {
            L2Entry entry = table[index];
            if (entry.IsCompressed)
            {
                FollowCompressed(entry, tableOffset, index, isActive);
                continue;
            }

            if (entry.HasReservedBits)
            {
                _findings.AddDamage($"Entry {index} of the L2 table at byte {tableOffset} has bits set that must be clear.");
            }

            if (entry.FindFault(_layout, _image.Header.Version) is { } fault)
            {
                _findings.AddDamage($"Entry {index} of the L2 table at byte {tableOffset} {fault}.");
            }

            if (!entry.HasHostOffset(_layout))
            {
                continue;
            }

            if (isActive)
            {
                AllocatedClusters++;
                FragmentedClusters += _nextOffset != 0 && entry.Offset != _nextOffset ? 1 : 0;
                _nextOffset = entry.Offset + _layout.ClusterSize;
            }

            if (!_image.HasDataFile)
            {
                Count(entry.Offset, _layout.ClusterSize);
            }
        }
    }

    private void FollowCompressed(L2Entry entry, long tableOffset, int index, bool isActive)
    {
        if (entry.IsCopied)
        {
            _findings.AddDamage($"Entry {index} of the L2 table at byte {tableOffset} calls a compressed cluster its own.");
        }

        if (_image.HasDataFile)
        {
            _findings.AddDamage($"Entry {index} of the L2 table at byte {tableOffset} is compressed, beside an external data file.");
            return;
        }

        if (entry.FindFault(_layout, _image.Header.Version) is { } fault)
        {
            _findings.AddDamage($"Entry {index} of the L2 table at byte {tableOffset} {fault}.");
            return;
        }

        if (entry.Subclusters != 0)
        {
            _findings.AddDamage($"Entry {index} of the L2 table at byte {tableOffset} is compressed, and has subclusters.");
        }

        Count(entry.CompressedOffset(_layout), entry.CompressedLength(_layout));
        if (isActive)
        {
            AllocatedClusters++;
            CompressedClusters++;

            // A compressed cluster is read by itself, wherever it is.
            FragmentedClusters++;
        }
    }

    private void FollowBitmaps()
    {
        if (_image.ReadBitmapDirectory() is not { } directory)
        {
            return;
        }

        CountTable(directory.Offset, directory.Size, "The bitmap directory");
        foreach (PersistentBitmap bitmap in _image.ReadBitmaps(directory))
        {
            CountTable(bitmap.TableOffset, bitmap.TableSize * 8L, $"The table of bitmap '{bitmap.Name}'");
            foreach (ulong entry in _image.ReadTable(bitmap.TableOffset, (int)bitmap.TableSize))
            {
                long offset = new L1Entry(entry).Offset;
                if (offset != 0)
                {
                    Count(offset, _layout.ClusterSize);
                }
            }
        }
    }

    private void FollowRefcounts()
    {
        ImageHeader header = _image.Header;
        long first = header.RefcountTableOffset >> _layout.ClusterBits;
        if (header.RefcountTableClusters == 0)
        {
            LoseRefcounts("There is no refcount table.");
        }
        else if (first + header.RefcountTableClusters > _layout.ClustersFor(_fileLength))
        {
            LoseRefcounts("The refcount table is beyond the end of the file.");
        }
        else
        {
            for (long cluster = first; cluster < first + header.RefcountTableClusters; cluster++)
            {
                if (++Counts[cluster] > 1)
                {
                    LoseRefcounts("The refcount table is where something else is, too.");
                }
            }

            _countedTable = (first, header.RefcountTableClusters);
        }

        for (int index = 0; index < RefcountBlocks.Length; index++)
        {
            if (RefcountBlocks[index].Raw != 0 && FindBlockFault(RefcountBlocks[index], index) is { } fault)
            {
                RefcountBlocks[index] = default;
                LoseRefcounts(fault);
            }
        }
    }

    private string? FindBlockFault(RefcountTableEntry entry, int index)
    {
        if (entry.HasReservedBits)
        {
            return $"Entry {index} of the refcount table has bits set that must be clear.";
        }

        if (!_layout.IsAligned(entry.Offset))
        {
            return $"Entry {index} of the refcount table places a block at byte {entry.Offset}, where none can be.";
        }

        if (entry.Offset < 0 || entry.Offset >= _fileLength)
        {
            return $"Refcount block {index} is beyond the end of the file.";
        }

        long cluster = entry.Offset >> _layout.ClusterBits;
        if (Counts[cluster] != 0)
        {
            return $"Refcount block {index} is where something else is, too.";
        }

        Counts[cluster] = 1;
        return null;
    }

    private void LoseRefcounts(string why)
    {
        IsRefcountTableLost = true;
        _findings.AddCorruption(why);
    }

    // Of two that claim a cluster, one is wrong, and there is no way to know which. To write one would destroy the other.
    private void FindOverlaps()
    {
        foreach (long cluster in _ownTables.Where(cluster => Counts[cluster] > 1))
        {
            AddOverlap($"Cluster {cluster} has a table, and something else refers to it, too.");
        }

        foreach ((long cluster, uint references) in _l2Tables)
        {
            if (Counts[cluster] != references && !_ownTables.Contains(cluster))
            {
                AddOverlap($"Cluster {cluster} has an L2 table, and something else refers to it, too.");
            }
        }
    }

    private void AddOverlap(string text)
    {
        Overlap ??= text;
        _findings.AddDamage(text);
    }

    private void CountTable(long offset, long length, string what)
    {
        if (length > 0 && IsBeyondEnd(offset, length))
        {
            AddOverlap($"{what} is beyond the end of the file.");
            return;
        }

        Count(offset, length);
        for (long cluster = offset >> _layout.ClusterBits; cluster << _layout.ClusterBits < offset + length; cluster++)
        {
            _ownTables.Add(cluster);
        }
    }

    // The last cluster of a file need not be whole.
    private bool IsBeyondEnd(long offset, long length) =>
        offset < 0 || length < 0 || offset > long.MaxValue - length || offset + length - _fileLength >= _layout.ClusterSize;

    private void Count(long offset, long length)
    {
        if (length == 0)
        {
            return;
        }

        if (IsBeyondEnd(offset, length))
        {
            _findings.AddDamage($"Something refers to {length} bytes from byte {offset} on, which is beyond the end of the file.");
            return;
        }

        Counts.Add(_layout, offset, length, 1);
    }
}
