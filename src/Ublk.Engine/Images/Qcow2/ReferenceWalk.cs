using System.Buffers.Binary;
using Ublk.Targets.Qcow2.Format;

namespace Ublk.Images.Qcow2;

/// <summary>Follows every reference of an image and counts them; on the way it finds those that lead nowhere.</summary>
internal sealed class ReferenceWalk
{
    private readonly Qcow2File _image;
    private readonly CheckFindings _findings;
    private readonly ImageProgress _progress;
    private readonly ClusterLayout _layout;
    private readonly long _fileLength;
    private long _nextOffset;

    private ReferenceWalk(Qcow2File image, CheckFindings findings, ImageProgress progress)
    {
        _image = image;
        _findings = findings;
        _progress = progress;
        _layout = image.Layout;
        _fileLength = image.File.Length;
        RefcountBlocks = image.ReadTable(image.Header.RefcountTableOffset, image.Header.RefcountTableClusters * _layout.RefcountTableEntriesPerCluster)
            .Select(raw => new RefcountTableEntry(raw)).ToArray();
    }

    /// <summary>What it counted.</summary>
    public ReferenceCounts Counts { get; } = new();

    /// <summary>The refcount table, without the entries that are of no use: default stands for those.</summary>
    public RefcountTableEntry[] RefcountBlocks { get; }

    /// <summary>Whether something else lies where the refcount table is: it is not counted then, and needs another place.</summary>
    public bool IsRefcountTableLost { get; private set; }

    /// <summary>Clusters of the disk that have a place in the file.</summary>
    public long AllocatedClusters { get; private set; }

    /// <summary>Clusters of the disk that are compressed.</summary>
    public long CompressedClusters { get; private set; }

    /// <summary>Clusters of the disk that do not follow on the one before.</summary>
    public long FragmentedClusters { get; private set; }

    /// <summary>Follows the references of an image.</summary>
    /// <exception cref="UblkException">The image cannot be read, or its snapshot table or bitmap directory is malformed.</exception>
    public static ReferenceWalk Of(Qcow2File image, CheckFindings findings, ImageProgress progress)
    {
        ReferenceWalk walk = new(image, findings, progress);
        walk.Follow();
        return walk;
    }

    /// <summary>What a disk's tables refer to: each L2 table, and each cluster of data.</summary>
    /// <param name="image">The image.</param>
    /// <param name="l1">The L1 table.</param>
    /// <param name="refer">Told the first byte, and the bytes, of each thing that is referred to.</param>
    /// <param name="progress">Told how far it is.</param>
    public static void Visit(Qcow2File image, ulong[] l1, Action<long, long> refer, ImageProgress progress)
    {
        ClusterLayout layout = image.Layout;
        foreach (L1Entry entry in l1.Select(raw => new L1Entry(raw)).Where(entry => entry.Offset != 0))
        {
            refer(entry.Offset, layout.ClusterSize);
            L2Words table = image.ReadL2(entry.Offset);
            for (int index = 0; index < layout.L2Entries; index++)
            {
                L2Entry cluster = table[index];
                if (cluster.IsCompressed)
                {
                    refer(cluster.CompressedOffset(layout), cluster.CompressedLength(layout));
                }
                else if (cluster.Offset != 0 && !image.HasDataFile)
                {
                    refer(cluster.Offset, layout.ClusterSize);
                }
            }

            progress.Advance(layout.ClusterSize);
        }
    }

    private void Follow()
    {
        ImageHeader header = _image.Header;
        Count(0, _layout.ClusterSize);
        Count(header.L1Offset, header.L1Size * 8L);
        FollowL1(_image.ReadL1(), "the active L1 table", isActive: true);
        foreach (Snapshot snapshot in _image.Snapshots)
        {
            Count(snapshot.L1Offset, snapshot.L1Size * 8L);
            FollowL1(_image.ReadTable(snapshot.L1Offset, snapshot.L1Size), $"the L1 table of snapshot '{snapshot.Name}'", isActive: false);
        }

        Count(header.SnapshotsOffset, _image.SnapshotTableLength);
        FollowBitmaps();
        if (header.LuksArea is { } luks)
        {
            Count(luks.Offset, luks.Length);
        }

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
                _findings.AddCorruption($"Entry {index} of {what} has bits set that must be clear.");
            }

            if (entry.Offset == 0)
            {
                continue;
            }

            Count(entry.Offset, _layout.ClusterSize);
            if (!_layout.IsAligned(entry.Offset))
            {
                _findings.AddCorruption($"Entry {index} of {what} places an L2 table at byte {entry.Offset}, where none can be.");
            }

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
                _findings.AddCorruption($"Entry {index} of the L2 table at byte {tableOffset} has bits set that must be clear.");
            }

            if (entry.FindFault(_layout, _image.Header.Version) is { } fault)
            {
                _findings.AddCorruption($"Entry {index} of the L2 table at byte {tableOffset} {fault}.");
            }

            if (entry.Offset == 0 && !(_image.HasDataFile && entry.HasPlace))
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
            _findings.AddCorruption($"Entry {index} of the L2 table at byte {tableOffset} calls a compressed cluster its own.");
        }

        if (_image.HasDataFile)
        {
            _findings.AddCorruption($"Entry {index} of the L2 table at byte {tableOffset} is compressed, beside an external data file.");
            return;
        }

        if (entry.FindFault(_layout, _image.Header.Version) is { } fault)
        {
            _findings.AddCorruption($"Entry {index} of the L2 table at byte {tableOffset} {fault}.");
            return;
        }

        if (entry.Subclusters != 0)
        {
            _findings.AddCorruption($"Entry {index} of the L2 table at byte {tableOffset} is compressed, and has subclusters.");
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

        Count(directory.Offset, directory.Size);
        foreach (PersistentBitmap bitmap in _image.ReadBitmaps(directory))
        {
            Count(bitmap.TableOffset, bitmap.TableSize * 8L);
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
        long tableOffset = _image.Header.RefcountTableOffset;
        Count(tableOffset, (long)_image.Header.RefcountTableClusters << _layout.ClusterBits);
        for (int index = 0; index < RefcountBlocks.Length; index++)
        {
            RefcountTableEntry entry = RefcountBlocks[index];
            if (entry.Raw == 0)
            {
                continue;
            }

            RefcountBlocks[index] = default;
            if (entry.HasReservedBits)
            {
                _findings.AddCorruption($"Entry {index} of the refcount table has bits set that must be clear.");
            }
            else if (!_layout.IsAligned(entry.Offset))
            {
                _findings.AddCorruption($"Entry {index} of the refcount table places a block at byte {entry.Offset}, where none can be.");
            }
            else if (entry.Offset < 0 || entry.Offset >= _fileLength)
            {
                _findings.AddCorruption($"Refcount block {index} is beyond the end of the file.");
            }
            else
            {
                Count(entry.Offset, _layout.ClusterSize);
                long cluster = entry.Offset >> _layout.ClusterBits;
                if (Counts[cluster] == 1)
                {
                    RefcountBlocks[index] = entry;
                    continue;
                }

                Counts[cluster]--;
                _findings.AddCorruption($"Refcount block {index} is where something else is, too.");
            }
        }

        FollowRefcountTable(tableOffset >> _layout.ClusterBits, _image.Header.RefcountTableClusters);
    }

    private void FollowRefcountTable(long first, int clusters)
    {
        bool isShared = false;
        for (long cluster = first; cluster < first + clusters; cluster++)
        {
            isShared |= Counts[cluster] > 1;
        }

        if (isShared)
        {
            IsRefcountTableLost = true;
            _findings.AddCorruption("The refcount table is where something else is, too.");
            for (long cluster = first; cluster < first + clusters; cluster++)
            {
                Counts[cluster] -= Counts[cluster] > 0 ? 1u : 0;
            }
        }
    }

    private void Count(long offset, long length)
    {
        if (length == 0)
        {
            return;
        }

        // The last cluster of a file need not be whole.
        if (offset < 0 || length < 0 || offset > long.MaxValue - length || offset + length - _fileLength >= _layout.ClusterSize)
        {
            _findings.AddCorruption($"Something refers to {length} bytes from byte {offset} on, which is beyond the end of the file.");
            return;
        }

        long first = offset >> _layout.ClusterBits;
        Counts.Add(first, ((offset + length - 1) >> _layout.ClusterBits) - first + 1, 1);
    }
}
