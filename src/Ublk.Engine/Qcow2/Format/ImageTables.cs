using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Ublk.Files;

namespace Ublk.Qcow2.Format;

/// <summary>An image's header and the tables that it leads to, read on the calling thread as they lie in the file.</summary>
internal class ImageTables(IReadableFile file, ImageHeader header)
{
    /// <summary>The entry of a bitmap's table that stands for a cluster with all bits set.</summary>
    public const ulong AllOnes = 1;

    // Its header and its first extensions, in most images all of them.
    private const int StartLength = 4096;

    private ImageHeader _header = header;
    private (IReadOnlyList<Snapshot> All, int Length)? _snapshots;

    /// <summary>The header as it is in the file.</summary>
    public ImageHeader Header
    {
        get => _header;
        protected set => (_header, _snapshots) = (value, null);
    }

    /// <summary>The sizes that follow from it.</summary>
    public ClusterLayout Layout { get; } = header.Layout;

    /// <summary>The snapshots, in the order of their table.</summary>
    /// <exception cref="UblkException">The table is malformed, or cannot be read.</exception>
    public IReadOnlyList<Snapshot> Snapshots => (_snapshots ??= ReadSnapshots()).All;

    /// <summary>Bytes of the snapshot table.</summary>
    /// <exception cref="UblkException">The table is malformed, or cannot be read.</exception>
    public int SnapshotTableLength => (_snapshots ??= ReadSnapshots()).Length;

    /// <summary>Reads an image's header.</summary>
    /// <exception cref="UblkException">It cannot be read, is not a qcow2 image, or has unknown features.</exception>
    public static ImageHeader ReadHeader(IReadableFile file)
    {
        // The header is in the first cluster; the cluster size is in the header.
        byte[] start = file.ReadBytes(0, long.Min(StartLength, file.Length));
        int clusterSize = ImageHeader.PeekClusterSize(start, file.Path);
        return ImageHeader.Parse(clusterSize <= start.Length ? start : file.ReadBytes(0, long.Min(clusterSize, file.Length)), file.Path);
    }

    /// <summary>Reads a table of big-endian numbers; what is beyond the end of the file is 0.</summary>
    /// <typeparam name="T">A number, or an entry that is one, of 8 bytes.</typeparam>
    /// <exception cref="UblkException">The file cannot be read.</exception>
    public T[] ReadTable<T>(long offset, int entries)
        where T : unmanaged
    {
        // A header that promises more than the file has takes no time.
        T[] table = new T[entries];
        Span<ulong> known = MemoryMarshal.Cast<T, ulong>(table.AsSpan())[..(int)long.Clamp((file.Length - offset + 7) / 8, 0, entries)];
        file.Read(MemoryMarshal.AsBytes(known), offset);
        BinaryPrimitives.ReverseEndianness(known, known);
        return table;
    }

    /// <summary>The L1 table of a snapshot; null for the active one.</summary>
    public L1Entry[] ReadL1(Snapshot? snapshot = null) =>
        ReadTable<L1Entry>(snapshot?.L1Offset ?? Header.L1Offset, snapshot?.L1Size ?? Header.L1Size);

    /// <summary>The refcount table.</summary>
    public RefcountTableEntry[] ReadRefcountTable() => ReadTable<RefcountTableEntry>(
        Header.RefcountTableOffset, Header.RefcountTableClusters * Layout.RefcountTableEntriesPerCluster);

    /// <summary>An L2 table.</summary>
    /// <exception cref="UblkException">The file cannot be read.</exception>
    public L2Words ReadL2(long offset)
    {
        L2Words table = new(Layout);
        file.Read(table.Bytes, offset);
        return table;
    }

    /// <summary>The snapshot of an id or, where no id is that, of a name.</summary>
    /// <exception cref="UblkException">No snapshot has the name, or several have it.</exception>
    public Snapshot FindSnapshot(string idOrName)
    {
        if (Snapshots.FirstOrDefault(snapshot => snapshot.Id == idOrName) is { } byId)
        {
            return byId;
        }

        Snapshot[] named = [.. Snapshots.Where(snapshot => snapshot.Name == idOrName)];
        return named switch
        {
            [Snapshot only] => only,
            [] => throw new UblkException(UblkError.SnapshotNotFound,
                $"{file.Path} has no snapshot '{idOrName}'. Get-UblkImageSnapshot shows those it has."),
            _ => throw new UblkException(UblkError.SnapshotNotFound,
                $"{file.Path} has {named.Length} snapshots named '{idOrName}'. "
                    + $"Choose by id: {string.Join(", ", named.Select(snapshot => snapshot.Id))}."),
        };
    }

    /// <summary>Where the persistent bitmaps are; null where there are none, or none that is valid.</summary>
    /// <exception cref="UblkException">The header's extension is malformed.</exception>
    public BitmapDirectory? ReadBitmapDirectory() => BitmapDirectory.Of(Header, file.Path);

    /// <summary>The persistent bitmaps; empty where there are none, or none that is valid.</summary>
    /// <exception cref="UblkException">The header's extension or the directory is malformed, or cannot be read.</exception>
    public IReadOnlyList<PersistentBitmap> ReadBitmaps() => ReadBitmapDirectory() is { } directory
        ? directory.Parse(ReadUpToEnd(directory.Offset, directory.Size), Layout, file.Path)
        : [];

    /// <summary>The persistent bitmap of a name.</summary>
    /// <exception cref="UblkException">No bitmap has the name, or they cannot be read.</exception>
    public PersistentBitmap FindBitmap(string name) => ReadBitmaps().FirstOrDefault(bitmap => bitmap.Name == name)
        ?? throw new UblkException(UblkError.BitmapNotFound,
            $"{file.Path} has no bitmap '{name}'. Get-UblkImageBitmap shows those it has.");

    /// <summary>The table of a bitmap: the places of its clusters, or <see cref="AllOnes"/>, or 0 where no bit is set.</summary>
    /// <exception cref="UblkException">
    /// It is too short for the disk, or leads nowhere, or cannot be read; or the bitmap has data of a later version of the format.
    /// </exception>
    public ulong[] ReadBitmapTable(PersistentBitmap bitmap)
    {
        // A backup that takes a damaged bitmap for clean would leave out what has changed.
        ImageError.ThrowIf(bitmap.ExtraData.Length > 0, file.Path, $"its bitmap '{bitmap.Name}' has data that is unknown here");
        ulong[] table = ReadTable<ulong>(bitmap.TableOffset, (int)bitmap.TableSize);
        ImageError.ThrowIf(PersistentBitmap.ClustersFor(Header.Size, bitmap.GranularityBits, Layout) != table.Length
            || bitmap.TableOffset + (table.Length * 8L) > file.Length,
            file.Path, $"the table of its bitmap '{bitmap.Name}' has the wrong size");
        foreach (ulong entry in table)
        {
            long offset = new L1Entry(entry).Offset;
            ulong others = entry & ~(ulong)offset;
            ImageError.ThrowIf(
                !Layout.IsAligned(offset) || (offset > 0 && offset + Layout.ClusterSize > file.Length)
                    || others > (offset == 0 ? AllOnes : 0),
                file.Path, $"the table of its bitmap '{bitmap.Name}' has the invalid entry {entry:x16}");
        }

        return table;
    }

    /// <summary>Reads bits of a bitmap.</summary>
    /// <param name="entry">The entry of its table that leads to them.</param>
    /// <param name="bits">Room for them: a cluster, or what the disk needs of it.</param>
    /// <exception cref="UblkException">They cannot be read.</exception>
    public void ReadBits(ulong entry, Span<byte> bits)
    {
        if (new L1Entry(entry).Offset is > 0 and var offset)
        {
            file.Read(bits, offset);
        }
        else
        {
            bits.Fill(entry == AllOnes ? byte.MaxValue : (byte)0);
        }
    }

    /// <summary>What the header leads to, but for what counts references: the offset of each, its length in bytes, and its name.</summary>
    /// <exception cref="UblkException">The snapshot table or the header's extension of bitmaps is malformed, or cannot be read.</exception>
    public IEnumerable<(long Offset, long Length, string Name)> FindTables()
    {
        yield return (Header.L1Offset, Header.L1Size * 8L, "active L1 table");
        yield return (Header.SnapshotsOffset, SnapshotTableLength, "snapshot table");
        foreach (Snapshot snapshot in Snapshots)
        {
            yield return (snapshot.L1Offset, snapshot.L1Size * 8L, $"L1 table of snapshot '{snapshot.Name}'");
        }

        if (ReadBitmapDirectory() is { } bitmaps)
        {
            yield return (bitmaps.Offset, bitmaps.Size, "bitmap directory");
        }

        if (Header is { Encryption: EncryptionMethod.Luks, LuksArea: { } luks })
        {
            yield return (luks.Offset, luks.Length, "LUKS header");
        }
    }

    private (IReadOnlyList<Snapshot> All, int Length) ReadSnapshots()
    {
        if (Header.SnapshotCount == 0)
        {
            return ([], 0);
        }

        byte[] table = ReadUpToEnd(Header.SnapshotsOffset, SnapshotTable.MaxBytes);
        return (SnapshotTable.Parse(table, Header.SnapshotCount, Layout, file.Path, out int length), length);
    }

    private byte[] ReadUpToEnd(long offset, long maxLength) =>
        file.ReadBytes(offset, long.Clamp(file.Length - offset, 0, maxLength));
}
