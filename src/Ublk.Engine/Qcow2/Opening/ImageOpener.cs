using System.Runtime.InteropServices;
using Ublk.Files;
using Ublk.Interop;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Data;
using Ublk.Qcow2.Encryption;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.Metadata;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Opening;

/// <summary>Opens an image with its data file and everything under it.</summary>
/// <param name="openFile">Opens a file: its path, whether it is only read, and the largest alignment that is acceptable.</param>
/// <param name="options">How.</param>
internal sealed class ImageOpener(Func<string, bool, int, ImageFile> openFile, ImageOptions options)
{
    private readonly Qcow2Statistics _statistics = new();
    private readonly BackingChain _chain = new(options.BackingFormat, canLeaveOut: true);

    /// <summary>Opens the image.</summary>
    /// <param name="path">Its path.</param>
    /// <param name="updater">What writes it; null where it is only read.</param>
    /// <exception cref="UblkException">It, or something under it, is malformed, missing, in use, or needs what is not there.</exception>
    public Qcow2Layer Open(string path, out ImageUpdater? updater)
    {
        bool readOnly = options.ReadOnly || options.Snapshot is not null;
        ImageFile file = OpenImageFile(path, readOnly);
        try
        {
            return OpenLayer(file, readOnly || file.ReadOnly, options.Snapshot, options.NoBacking, out updater);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private Qcow2Layer OpenLayer(ImageFile file, bool readOnly, string? snapshotName, bool noBacking, out ImageUpdater? updater)
    {
        ImageTables tables = new(file, ImageTables.ReadHeader(file));
        ImageHeader header = tables.Header;
        if (!readOnly)
        {
            RequireWritable(header, file.Path);
        }

        Snapshot? snapshot = snapshotName is null ? null : tables.FindSnapshot(snapshotName);
        long size = snapshot?.DiskSize ?? header.Size;
        int l1Size = snapshot?.L1Size ?? header.L1Size;
        ImageError.ThrowIf(l1Size < header.Layout.L1EntriesFor(size), file.Path,
            $"the L1 table of its snapshot '{snapshotName}' is too short for a disk of {size} bytes");
        long l1Offset = snapshot?.L1Offset ?? header.L1Offset;
        ulong[] l1 = tables.ReadTable<ulong>(l1Offset, l1Size);
        ImageFile dataFile = header.Layout.HasDataFile ? OpenDataFile(file, header, readOnly) : file;
        DiskCipher? cipher = null;
        DiskLayer? backing = null;
        HeaderBlock? block = null;
        try
        {
            cipher = ImageKey.Open(file, header, readOnly, options.Passphrase);
            backing = noBacking || header.BackingFile is null ? null : options.Backing ?? OpenBacking(file, header);
            block = readOnly ? null : new HeaderBlock(file, header);
            ImageState state = new(file, dataFile, cipher, header, block, _statistics);
            L2Tables loaded = new(state, new EntryTable(l1, l1Offset));
            MetadataFlusher? flusher = readOnly ? null : OpenFlusher(state, tables, loaded);
            L2Cache cache = new(state, loaded, flusher, CacheShares.Of(options.CacheSize, header).Tables);
            Qcow2Layer layer = new(state, cache, size, backing);
            updater = flusher is null ? null : new ImageUpdater(layer, flusher, new BitmapKeeper(state, tables));
            return layer;
        }
        catch
        {
            block?.Dispose();
            backing?.Dispose();
            cipher?.Dispose();
            if (dataFile != file)
            {
                dataFile.Dispose();
            }

            throw;
        }
    }

    private MetadataFlusher OpenFlusher(ImageState image, ImageTables file, L2Tables loaded)
    {
        ulong[] entries = MemoryMarshal.Cast<RefcountTableEntry, ulong>(file.ReadRefcountTable()).ToArray();
        EntryTable table = new(entries, image.Header.RefcountTableOffset);
        MetadataSurvey.Run(image, file, loaded.L1.Entries, entries);
        RefcountCache refcounts = new(image, table, CacheShares.Of(options.CacheSize, image.Header).RefcountBlocks);
        return new MetadataFlusher(image, loaded, refcounts, options.PunchesHoles);
    }

    // The acceptable alignment follows from the cluster size, so the header is read first.
    private ImageFile OpenImageFile(string path, bool readOnly)
    {
        ImageHeader header;
        using (ImageFile first = openFile(path, true, 0))
        {
            header = ImageTables.ReadHeader(first);
        }

        // Without what is under it, an image cannot be written: what is unallocated, or becomes so, would show the backing file again.
        readOnly |= options.NoBacking && header.BackingFile is not null;
        if (!readOnly && header.Incompatible.HasFlag(IncompatibleFeatures.Dirty))
        {
            Repair(path);
        }

        return openFile(path, readOnly, header.Layout.SubclusterSize);
    }

    // A program that writes reference counts late did not come to it.
    private static void Repair(string path)
    {
        using Qcow2File image = Qcow2File.Read(DiskFile.OpenForWriting(path));
        Qcow2Check left = Qcow2Repair.Run(image, Qcow2Check.Of(image, ImageProgress.None), ImageProgress.None);
        if (left.Findings.Corruptions > 0)
        {
            throw new UblkException(UblkError.InvalidImage,
                $"{path} was not closed properly, and rebuilding its reference counts left {left.Findings.Corruptions} errors. Look at "
                    + "them with Test-UblkImage, or attach it with -ReadOnly.");
        }
    }

    private ImageFile OpenDataFile(ImageFile file, ImageHeader header, bool readOnly)
    {
        ImageFile data = BackingChain.OpenData(file, header, !readOnly, path => openFile(path, readOnly, header.Layout.SubclusterSize));
        if (!data.ReadOnly || readOnly)
        {
            return data;
        }

        data.Dispose();
        throw new UblkException(UblkError.PermissionDenied,
            $"{data.Path}, which has the data of {file.Path}, cannot be opened for writing. Attach the disk with -ReadOnly.",
            Libc.EACCES, "open");
    }

    private DiskLayer OpenBacking(ImageFile image, ImageHeader header)
    {
        (ImageFile file, ImageFormat format) = _chain.OpenBacking(image, header, name => name.Format == ImageFormat.Raw
            ? openFile(name.Path, true, int.MaxValue)
            : OpenImageFile(name.Path, readOnly: true));
        try
        {
            return format == ImageFormat.Raw ? new RawLayer(file) : OpenLayer(file, readOnly: true, null, noBacking: false, out _);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private static void RequireWritable(ImageHeader header, string path)
    {
        if (header.Incompatible.HasFlag(IncompatibleFeatures.Corrupt))
        {
            throw new UblkException(UblkError.InvalidImage,
                $"{path} is marked as corrupt, so it may not be written. Repair it with Repair-UblkImage. "
                    + "If that leaves errors, attach it with -ReadOnly to copy what can be read.");
        }

        ImageError.ThrowIf(header.RefcountTableClusters == 0, path,
            "it has no refcount table, so it may not be written. Attach it with -ReadOnly, or repair it: Repair-UblkImage");
    }
}

/// <summary>How an image is opened.</summary>
internal sealed record ImageOptions
{
    /// <summary>Whether it is opened for reading alone.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>The backing file's format where the header does not say; null for none.</summary>
    public ImageFormat? BackingFormat { get; init; }

    /// <summary>Whether the backing file is left out.</summary>
    public bool NoBacking { get; init; }

    /// <summary>What is read in place of the backing file; null to open that.</summary>
    public DiskLayer? Backing { get; init; }

    /// <summary>The id or name of the snapshot to read instead of the disk as it is; null for none.</summary>
    public string? Snapshot { get; init; }

    /// <summary>The passphrase of encrypted images; null for none.</summary>
    public byte[]? Passphrase { get; init; }

    /// <summary>Bytes of metadata to keep in memory, of each image of the chain.</summary>
    public long CacheSize { get; init; } = CacheShares.Default;

    /// <summary>Whether free clusters become holes of the host's file.</summary>
    public bool PunchesHoles { get; init; } = true;
}

/// <summary>How much of an image's metadata is kept in memory.</summary>
internal readonly record struct CacheShares(int Tables, int RefcountBlocks)
{
    /// <summary>8 MiB of L2 tables and 2 MiB of refcount blocks: those of 64 GiB in clusters of 64 KiB.</summary>
    public const long Default = 10 << 20;

    // A table that is changed and one that takes its place; more would be no cache.
    private const int Least = 4;

    /// <summary>Divides a number of bytes four to one, and takes no more than the image has.</summary>
    public static CacheShares Of(long bytes, ImageHeader header) => new(
        (int)long.Clamp(bytes / 5 * 4 / header.Layout.ClusterSize, Least, int.Max(header.L1Size, Least)),
        (int)long.Clamp(bytes / 5 / header.Layout.ClusterSize, Least, int.MaxValue));
}
