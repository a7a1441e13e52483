using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Ublk.Files;
using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>A qcow2 image's metadata, read and written as it lies in the file: for operations that have the image to themselves.</summary>
/// <param name="file">The image's file, which it disposes of.</param>
/// <param name="header">Its header.</param>
internal sealed class Qcow2File(DiskFile file, ImageHeader header) : IDisposable
{
    private IReadOnlyList<Snapshot>? _snapshots;

    /// <summary>The file.</summary>
    public DiskFile File => file;

    /// <summary>The header as it is in the file.</summary>
    public ImageHeader Header { get; private set; } = header;

    /// <summary>The sizes that follow from it.</summary>
    public ClusterLayout Layout { get; } = header.Layout;

    /// <summary>Whether the disk's data is in a file of its own.</summary>
    public bool HasDataFile => Layout.HasDataFile;

    /// <summary>The snapshots, in the order of their table.</summary>
    /// <exception cref="UblkException">The table is malformed.</exception>
    public IReadOnlyList<Snapshot> Snapshots => _snapshots ??= ReadSnapshots(out _);

    /// <summary>Bytes of the snapshot table.</summary>
    /// <exception cref="UblkException">The table is malformed.</exception>
    public int SnapshotTableLength
    {
        get
        {
            _snapshots = ReadSnapshots(out int length);
            return length;
        }
    }

    /// <summary>Reads the header.</summary>
    /// <param name="file">The image's file, which is disposed of when it is no qcow2 image.</param>
    /// <exception cref="UblkException">It is no valid image, or one with features that are unknown here.</exception>
    public static Qcow2File Read(DiskFile file)
    {
        try
        {
            ForeignFormat.Refuse(file);

            // The header is in the first cluster; the cluster size is in the header.
            byte[] cluster = new byte[long.Min(1 << ClusterLayout.MaxClusterBits, file.Length)];
            file.Read(cluster, 0);
            return new Qcow2File(file, ImageHeader.Parse(cluster, file.Path));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Reads a table of big-endian numbers; what is beyond the end of the file is 0.</summary>
    public ulong[] ReadTable(long offset, int entries)
    {
        ulong[] table = new ulong[entries];
        if (offset < file.Length)
        {
            file.Read(MemoryMarshal.AsBytes(table.AsSpan()), offset);
            BinaryPrimitives.ReverseEndianness(table, table);
        }

        return table;
    }

    /// <summary>Writes a table of big-endian numbers.</summary>
    public void WriteTable(long offset, ReadOnlySpan<ulong> table)
    {
        ulong[] bytes = new ulong[table.Length];
        BinaryPrimitives.ReverseEndianness(table, bytes);
        file.Write(MemoryMarshal.AsBytes(bytes.AsSpan()), offset);
    }

    /// <summary>The active L1 table.</summary>
    public ulong[] ReadL1() => ReadTable(Header.L1Offset, Header.L1Size);

    /// <summary>The refcount table.</summary>
    public RefcountTableEntry[] ReadRefcountTable() =>
    [
        .. ReadTable(Header.RefcountTableOffset, Header.RefcountTableClusters * Layout.RefcountTableEntriesPerCluster)
            .Select(raw => new RefcountTableEntry(raw)),
    ];

    /// <summary>Whether an L2 table can be at a place.</summary>
    public bool CanHoldL2(long offset) => offset > 0 && offset < file.Length && Layout.IsAligned(offset);

    /// <summary>An L2 table.</summary>
    public L2Words ReadL2(long offset) => new(Layout, ReadTable(offset, Layout.ClusterSize / 8));

    /// <summary>Where the persistent bitmaps are; null where there are none, or none that is valid.</summary>
    /// <exception cref="UblkException">The header's extension is malformed.</exception>
    public BitmapDirectory? ReadBitmapDirectory() => BitmapDirectory.Of(Header, file.Path);

    /// <summary>The persistent bitmaps.</summary>
    /// <exception cref="UblkException">The directory is malformed.</exception>
    public IReadOnlyList<PersistentBitmap> ReadBitmaps(BitmapDirectory directory)
    {
        byte[] bytes = new byte[long.Min(directory.Size, long.Max(0, file.Length - directory.Offset))];
        file.Read(bytes, directory.Offset);
        return directory.Parse(bytes, Layout, file.Path);
    }

    /// <summary>Clears the autoclear bits that are unknown here, durably. Comes before the first change of an image.</summary>
    /// <exception cref="UblkException">The header cannot be written.</exception>
    public void BeginWriting()
    {
        if ((Header.Autoclear & ~AutoclearFeatures.Known) != 0)
        {
            WriteHeader(Header);
            file.Flush();
        }
    }

    /// <summary>Writes another header over the one that is there, without autoclear bits that are unknown here.</summary>
    /// <exception cref="UblkException">It cannot be written.</exception>
    public void WriteHeader(ImageHeader next)
    {
        next = next with { Autoclear = next.Autoclear & AutoclearFeatures.Known };

        // What changes during an image's life is in the first sector, so that a crash leaves the one header or the other.
        file.Write(next.ToCluster(file.Path), 0);
        Header = next;
        _snapshots = null;
    }

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

    private IReadOnlyList<Snapshot> ReadSnapshots(out int length)
    {
        length = 0;
        if (Header.SnapshotCount == 0)
        {
            return [];
        }

        byte[] table = new byte[long.Clamp(file.Length - Header.SnapshotsOffset, 0, SnapshotTable.MaxBytes)];
        file.Read(table, Header.SnapshotsOffset);
        return SnapshotTable.Parse(table, Header.SnapshotCount, Layout, file.Path, out length);
    }
}
