using Ublk.Files;
using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>Writes a new qcow2 image, its clusters one after the other in the file.</summary>
/// <remarks>The header comes last; before that the file is no image. Clusters in the order of the disk are the fastest.</remarks>
internal sealed class Qcow2Builder
{
    private readonly Qcow2File _image;
    private readonly DiskFile? _dataFile;
    private readonly CountedReferences _counts = new();
    private readonly L1Entry[] _l1;
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
        _l1 = new L1Entry[image.Header.L1Size];
        Take(1);
        Take(Layout.ClustersFor(_l1.Length * 8L));
    }

    /// <summary>The sizes of the image.</summary>
    public ClusterLayout Layout => _image.Layout;

    /// <summary>How its clusters can be compressed.</summary>
    public CompressionType Compression => _image.Header.Compression;

    /// <summary>Writes the LUKS header to the clusters behind the L1 table that the image's header names. Comes first.</summary>
    public void AddLuks(ReadOnlySpan<byte> area) => _image.File.Write(area, Take(Layout.ClustersFor(area.Length)));

    /// <summary>Gives a cluster of the disk a place.</summary>
    /// <param name="position">The cluster's first byte on the disk.</param>
    /// <param name="subclusters">With extended L2 entries: which subclusters have data, as the entry says it.</param>
    /// <returns>The first byte in the file, or in the external data file.</returns>
    public long Place(long position, ulong subclusters = L2Entry.AllAllocated)
    {
        UseTable(position);
        long offset = _dataFile is null ? Take(1) : position;
        _l2[Layout.L2Index(position)] = L2Entry.At(offset, Layout.HasExtendedL2 ? subclusters : 0);
        return offset;
    }

    /// <summary>Writes a cluster of the disk as it is.</summary>
    public void Write(long position, ReadOnlySpan<byte> cluster)
    {
        ulong subclusters = Layout.HasExtendedL2 ? SubclustersWithData(cluster) : 0;
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

    /// <summary>Makes a cluster of the disk zero. Without a backing file it is, as long as it has no place.</summary>
    public void Zero(long position)
    {
        if (_image.Header.BackingFile is not null)
        {
            UseTable(position);
            _l2[Layout.L2Index(position)] = L2Entry.ZeroPlain(Layout.HasExtendedL2);
        }
    }

    /// <summary>Writes a compressed cluster of the disk, right behind the one before if that is compressed, too.</summary>
    public void WriteCompressed(long position, ReadOnlySpan<byte> compressed)
    {
        UseTable(position);
        long offset = _next;
        bool isShareable = !Layout.IsAligned(offset) && _counts[offset >> Layout.ClusterBits] < Layout.MaxRefcount;
        if (!isShareable)
        {
            offset = Layout.ClustersFor(offset) << Layout.ClusterBits;
        }

        _l2[Layout.L2Index(position)] = L2Entry.CompressedAt(Layout, offset, compressed.Length);
        _counts.Add(Layout, offset, compressed.Length, 1);
        _image.File.Write(compressed, offset);
        _next = offset + compressed.Length;
    }

    /// <summary>Writes the tables and the header.</summary>
    /// <exception cref="UblkException">The file cannot be written.</exception>
    public void Finish()
    {
        FlushTable();
        _image.WriteTable<L1Entry>(_image.Header.L1Offset, _l1);
        new RefcountRebuilder(_image, _counts, [], isTableLost: true).Write(onlyIncrease: false);
        _image.File.SetLength(_counts.End << Layout.ClusterBits);
    }

    private void UseTable(long position)
    {
        int index = Layout.L1Index(position);
        if (index != _l2Index)
        {
            FlushTable();
            _l2Index = index;
            _l2 = new L2Words(Layout);
            if (_l1[index].Offset is var written and > 0)
            {
                _image.File.Read(_l2.Bytes, written);
            }
            else
            {
                _l1[index] = L1Entry.At(Take(1));
            }
        }
    }

    private void FlushTable()
    {
        if (_l2Index >= 0)
        {
            _image.File.Write(_l2.Bytes, _l1[_l2Index].Offset);
        }
    }

    // The next whole clusters of the file.
    private long Take(long count)
    {
        long first = Layout.ClustersFor(_next);
        _counts.Add(first, count, 1);
        _next = (first + count) << Layout.ClusterBits;
        return first << Layout.ClusterBits;
    }

    private ulong SubclustersWithData(ReadOnlySpan<byte> cluster)
    {
        ulong found = 0;
        for (int sub = 0; sub < ClusterLayout.SubclustersPerCluster; sub++)
        {
            bool hasData = cluster.Slice(sub * Layout.SubclusterSize, Layout.SubclusterSize).ContainsAnyExcept((byte)0);
            found |= (hasData ? 1UL : 0) << sub;
        }

        return found;
    }
}
