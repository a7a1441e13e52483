using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>Follows every reference of an image and counts them; on the way it finds those that lead nowhere.</summary>
internal sealed class MetadataWalk(Qcow2File image, CheckFindings findings, ImageProgress progress)
{
    private readonly ClusterLayout _layout = image.Layout;
    private readonly long _fileLength = image.File.Length;
    private (long First, int Clusters) _countedTable;

    // Clusters of L2 tables, with the L1 entries that point to each; and those of other tables, each of which has one reference.
    private readonly Dictionary<long, uint> _l2Tables = [];
    private readonly HashSet<long> _ownTables = [];

    /// <summary>What it counted.</summary>
    public CountedReferences Counts { get; } = new();

    /// <summary>The refcount table, without the entries that are of no use: default stands for those.</summary>
    public RefcountTableEntry[] RefcountBlocks { get; private set; } = image.ReadRefcountTable();

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
    public static void Visit(Qcow2File image, L1Entry[] l1, Action<long, long> refer, ImageProgress progress)
    {
        ClusterLayout layout = image.Layout;
        foreach (L1Entry entry in l1.Where(entry => entry.Offset != 0))
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
        CountTable(0, _layout.ClusterSize, "header");
        foreach ((long offset, long length, string name) in image.FindTables())
        {
            CountTable(offset, length, name);
        }

        FollowL1(image.ReadL1(), "the active L1 table", isActive: true);
        foreach (Snapshot snapshot in image.Snapshots)
        {
            FollowL1(image.ReadL1(snapshot), $"the L1 table of snapshot '{snapshot.Name}'", isActive: false);
        }

        FollowBitmaps();
        FindOverlaps();
        FollowRefcounts();
    }

    private void FollowL1(L1Entry[] l1, string what, bool isActive)
    {
        for (int index = 0; index < l1.Length; index++)
        {
            L1Entry entry = l1[index];
            progress.Advance(8);
            if (entry.HasReservedBits)
            {
                findings.AddDamage($"Entry {index} of {what} has bits set that must be clear.");
            }

            if (entry.Offset == 0 && entry.IsCopied)
            {
                findings.AddDamage($"Entry {index} of {what} has its copied flag set, but has no L2 table.");
            }
            else if (entry.Offset != 0 && !image.CanHoldL2(entry.Offset))
            {
                findings.AddDamage($"Entry {index} of {what} has the invalid L2 table offset {entry.Offset}.");
            }
            else if (entry.Offset != 0)
            {
                Count(entry.Offset, _layout.ClusterSize);
                long cluster = entry.Offset >> _layout.ClusterBits;
                _l2Tables[cluster] = _l2Tables.GetValueOrDefault(cluster) + 1;
                FollowL2(image.ReadL2(entry.Offset), entry.Offset, isActive);
            }
        }
    }

    private void FollowL2(L2Words table, long tableOffset, bool isActive)
    {
        long next = 0;
        for (int index = 0; index < _layout.L2Entries; index++)
        {
            L2Entry entry = table[index];
            string? fault = entry.FindFault(_layout, image.Header.Version);
            AddFault(fault);
            AddFault(entry.HasReservedBits ? "has bits set that must be clear" : null);
            AddFault(entry is { IsCompressed: true, IsCopied: true } ? "has its copied flag set, although it is compressed" : null);
            AddFault(entry is { IsCompressed: true, Subclusters: not 0 } ? "is compressed, and has subclusters" : null);
            AddFault(entry.IsCompressed && image.HasDataFile ? "is compressed, beside an external data file" : null);
            bool isThere = entry.IsCompressed ? fault is null && !image.HasDataFile : entry.HasHostOffset(_layout);
            if (!isThere)
            {
                continue;
            }

            if (isActive)
            {
                // A compressed cluster is read by itself, wherever it is.
                AllocatedClusters++;
                CompressedClusters += entry.IsCompressed ? 1 : 0;
                FragmentedClusters += entry.IsCompressed || (next != 0 && entry.Offset != next) ? 1 : 0;
                next = entry.IsCompressed ? next : entry.Offset + _layout.ClusterSize;
            }

            (long offset, long length) = entry.ReferenceIn(_layout);
            Count(offset, length);

            void AddFault(string? what)
            {
                if (what is not null)
                {
                    findings.AddDamage($"Entry {index} of the L2 table at byte {tableOffset} {what}.");
                }
            }
        }
    }

    private void FollowBitmaps()
    {
        foreach (PersistentBitmap bitmap in image.ReadBitmaps())
        {
            CountTable(bitmap.TableOffset, bitmap.TableSize * 8L, $"table of bitmap '{bitmap.Name}'");
            foreach (L1Entry entry in image.ReadTable<L1Entry>(bitmap.TableOffset, (int)bitmap.TableSize))
            {
                Count(entry.Offset, entry.Offset == 0 ? 0 : _layout.ClusterSize);
            }
        }
    }

    private void FollowRefcounts()
    {
        ImageHeader header = image.Header;
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
        long cluster = entry.Offset >> _layout.ClusterBits;
        string? fault = entry.HasReservedBits ? $"Entry {index} of the refcount table has bits set that must be clear."
            : !_layout.IsAligned(entry.Offset) ? $"Refcount block {index} is at byte {entry.Offset}, inside a cluster."
            : entry.Offset < 0 || entry.Offset >= _fileLength ? $"Refcount block {index} is beyond the end of the file."
            : Counts[cluster] != 0 ? $"Refcount block {index} is where something else is, too."
            : null;
        if (fault is null)
        {
            Counts[cluster] = 1;
        }

        return fault;
    }

    private void LoseRefcounts(string why)
    {
        IsRefcountTableLost = true;
        findings.AddCorruption(why);
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
        findings.AddDamage(text);
    }

    private void CountTable(long offset, long length, string name)
    {
        if (length > 0 && IsBeyondEnd(offset, length))
        {
            AddOverlap($"The {name} is beyond the end of the file.");
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
            findings.AddDamage($"Something refers to {length} bytes from byte {offset} on, which is beyond the end of the file.");
            return;
        }

        Counts.Add(_layout, offset, length, 1);
    }
}
