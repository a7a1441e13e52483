using Ublk.Files;
using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>Writes a new qcow2 image from the first cluster of its disk to the last, one after the other in the file.</summary>
/// <remarks>The header comes last; before that the file is no image.</remarks>
internal sealed class Qcow2Builder
{
    private readonly Qcow2File _image;
    private readonly DiskFile? _dataFile;
    private readonly ClusterLayout _layout;
    private readonly CountedReferences _counts = new();
    private readonly ulong[] _l1;
    private L2Words _l2;
    private int _l2Index = -1;
    private long _next;

    /// <summary>Begins an image.</summary>
    /// <param name="image">An empty file, and the header of a new image.</param>
    /// <param name="dataFile">The external data file, if the header speaks of one.</param>
    /// <exception cref="UblkException">The header does not fit a cluster.</exception>
    public Qcow2Builder(Qcow2File image, DiskFile? dataFile)
    {
        _ = image.Header.ToCluster(image.File.Path);
        _image = image;
        _dataFile = dataFile;
        _layout = image.Layout;
        _l1 = new ulong[image.Header.L1Size];
        Take(1);
        Take(_layout.ClustersFor(_l1.Length * 8L));
    }

    /// <summary>The sizes of the image.</summary>
    public ClusterLayout Layout => _layout;

    /// <summary>Writes the LUKS header to the clusters behind the L1 table that the image's header names. Comes first.</summary>
    public void AddLuks(ReadOnlySpan<byte> area) => _image.File.Write(area, Take(_layout.ClustersFor(area.Length)));

    /// <summary>Gives a cluster of the disk a place.</summary>
    /// <param name="position">The cluster's first byte on the disk; after all before.</param>
    /// <param name="subclusters">With extended L2 entries: which subclusters have data, as the entry says it.</param>
    /// <returns>The first byte in the file, or in the external data file.</returns>
    public long Place(long position, ulong subclusters = L2Entry.AllAllocated)
    {
        long offset = _dataFile is null ? TakeAfterTable(position) : position;
        SetEntry(position, L2Entry.At(offset, _layout.HasExtendedL2 ? subclusters : 0));
        return offset;
    }

    /// <summary>Writes a cluster of the disk as it is.</summary>
    public void Write(long position, ReadOnlySpan<byte> cluster)
    {
        ulong subclusters = _layout.HasExtendedL2 ? SubclustersWithData(cluster) : 0;
        long offset = Place(position, subclusters);
        if (_dataFile is null)
        {
            _image.File.Write(cluster, offset);
        }
        else
        {
            // A data file ends where the disk does, which may be inside of a cluster.
            _dataFile.Write(cluster[..(int)long.Min(cluster.Length, _image.Header.Size - offset)], offset);
        }
    }

    /// <summary>Writes a compressed cluster of the disk, right behind the one before if that is compressed, too.</summary>
    public void WriteCompressed(long position, ReadOnlySpan<byte> compressed)
    {
        UseTable(position);
        long offset = _next;
        bool isShareable = !_layout.IsAligned(offset) && _counts[offset >> _layout.ClusterBits] < _layout.MaxRefcount;
        if (!isShareable)
        {
            offset = _layout.ClustersFor(offset) << _layout.ClusterBits;
        }

        SetEntry(position, L2Entry.CompressedAt(_layout, offset, compressed.Length));
        _counts.Add(_layout, offset, compressed.Length, 1);
        _image.File.Write(compressed, offset);
        _next = offset + compressed.Length;
    }

    /// <summary>Writes the tables and the header.</summary>
    /// <exception cref="UblkException">The file cannot be written.</exception>
    public void Finish()
    {
        FlushTable();
        _image.WriteTable(_image.Header.L1Offset, _l1);
        new RefcountRebuilder(_image, _counts, [], isTableLost: true).Write(onlyIncrease: false);
        _image.File.SetLength(_counts.End << _layout.ClusterBits);
    }

    private long TakeAfterTable(long position)
    {
        UseTable(position);
        return Take(1);
    }

    private void SetEntry(long position, L2Entry entry)
    {
        UseTable(position);
        _l2[_layout.L2Index(position)] = entry;
    }

    private void UseTable(long position)
    {
        int index = _layout.L1Index(position);
        if (index != _l2Index)
        {
            FlushTable();
            _l2Index = index;
            _l2 = new L2Words(_layout);
            _l1[index] = L1Entry.At(Take(1)).Raw;
        }
    }

    private void FlushTable()
    {
        if (_l2Index >= 0)
        {
            _image.File.Write(_l2.Bytes, new L1Entry(_l1[_l2Index]).Offset);
        }
    }

    // The next whole clusters of the file.
    private long Take(long count)
    {
        long first = _layout.ClustersFor(_next);
        _counts.Add(first, count, 1);
        _next = (first + count) << _layout.ClusterBits;
        return first << _layout.ClusterBits;
    }

    private ulong SubclustersWithData(ReadOnlySpan<byte> cluster)
    {
        ulong found = 0;
        for (int sub = 0; sub < ClusterLayout.SubclustersPerCluster; sub++)
        {
            bool hasData = cluster.Slice(sub * _layout.SubclusterSize, _layout.SubclusterSize).ContainsAnyExcept((byte)0);
            found |= (hasData ? 1UL : 0) << sub;
        }

        return found;
    }
}
