using Ublk.Files;
using Ublk.Images.Content;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;
using ImageReference = Ublk.Files.ImageReference;

namespace Ublk.Images;

/// <summary>Looks at images without waiting for those who have them open.</summary>
public static class ImageInspector
{
    /// <summary>What an image is like.</summary>
    /// <param name="path">The image.</param>
    /// <param name="format">Its format; null to see by how it begins.</param>
    /// <exception cref="UblkException">The file does not exist, or is malformed.</exception>
    public static UblkImage Inspect(string path, ImageFormat? format)
    {
        using DiskFile file = DiskFile.Open(path);
        if ((format ?? ImageChain.Detect(file)) == ImageFormat.Raw)
        {
            using RawContent raw = new(file);
            return Describe(file, ImageFormat.Raw, raw.Size);
        }

        using Qcow2File image = Qcow2File.Read(file);
        return Describe(image);
    }

    /// <summary>An image, and all the images behind it, from the top down.</summary>
    /// <param name="path">The image.</param>
    /// <param name="format">Its format; null to see by how it begins.</param>
    /// <param name="backingFormat">The format of backing files where the header does not name it.</param>
    /// <exception cref="UblkException">One of them is missing or malformed, or the chain leads back to itself.</exception>
    public static IReadOnlyList<UblkImage> InspectChain(string path, ImageFormat? format, ImageFormat? backingFormat)
    {
        List<UblkImage> images = [];
        using ImageContent top = ImageChain.Open(path, format, backingFormat, DiskFile.Open);
        for (ImageContent? layer = top; layer is not null; layer = layer.Backing)
        {
            images.Add(Inspect(layer.File.Path, layer.Format));
        }

        return images;
    }

    /// <summary>Where each range of an image's disk is, from the first byte to the last.</summary>
    /// <param name="path">The image.</param>
    /// <param name="format">Its format; null to see by how it begins.</param>
    /// <param name="backingFormat">The format of backing files where the header does not name it.</param>
    /// <exception cref="UblkException">An image of the chain is missing or malformed.</exception>
    public static IEnumerable<ImageExtent> Map(string path, ImageFormat? format, ImageFormat? backingFormat)
    {
        using ImageContent top = ImageChain.Open(path, format, backingFormat, DiskFile.Open);
        foreach (ContentExtent extent in ContentExtent.Join(top.Map().Select(Simplify)))
        {
            bool hasHostOffset = extent.Kind is ExtentKind.Data or ExtentKind.ZeroAllocated;
            yield return new ImageExtent
            {
                Start = extent.Start,
                Length = extent.Length,
                Depth = extent.Depth,
                Present = extent.Kind != ExtentKind.Unallocated,
                Zero = extent.Kind is ExtentKind.Unallocated or ExtentKind.Zero or ExtentKind.ZeroAllocated,
                Data = extent.Kind is ExtentKind.Data or ExtentKind.Compressed,
                Compressed = extent.Kind == ExtentKind.Compressed,
                Offset = hasHostOffset ? extent.Offset : null,
                Path = hasHostOffset ? extent.Layer!.DataFile.Path : null,
            };
        }
    }

    /// <summary>The snapshots inside an image; none for a raw one.</summary>
    /// <exception cref="UblkException">It is missing or malformed.</exception>
    public static IReadOnlyList<UblkImageSnapshot> Snapshots(string path) => Inspect(path, null).Snapshots;

    /// <summary>The persistent bitmaps inside an image; none for a raw one.</summary>
    /// <exception cref="UblkException">It is missing or malformed.</exception>
    public static IReadOnlyList<UblkImageBitmap> Bitmaps(string path) => Inspect(path, null).Bitmaps;

    // Where compressed clusters are by themselves says nothing that anybody could use.
    private static ContentExtent Simplify(ContentExtent extent) =>
        extent.Kind == ExtentKind.Compressed ? extent with { Offset = 0, Skip = (int)(extent.Start & int.MaxValue) } : extent;

    private static UblkImage Describe(DiskFile file, ImageFormat format, long size) => new()
    {
        Path = file.Path,
        Format = format,
        VirtualSize = size,
        DiskSize = file.AllocatedLength,
        FileSize = file.Length,
        InUse = file.IsInUse(),
    };

    private static UblkImage Describe(Qcow2File image)
    {
        ImageHeader header = image.Header;
        string path = image.File.Path;
        return Describe(image.File, ImageFormat.Qcow2, header.Size) with
        {
            Version = header.Version,
            ClusterSize = header.Layout.ClusterSize,
            RefcountBits = 1 << header.RefcountOrder,
            CompressionType = header.Compression == CompressionType.Zstd ? ImageCompression.Zstd : ImageCompression.Zlib,
            ExtendedL2 = header.Layout.HasExtendedL2,
            LazyRefcounts = header.Compatible.HasFlag(CompatibleFeatures.LazyRefcounts),
            Encryption = header.Encryption == EncryptionMethod.None ? null : header.Encryption.ToString(),
            Dirty = header.Incompatible.HasFlag(IncompatibleFeatures.Dirty),
            Corrupt = header.Incompatible.HasFlag(IncompatibleFeatures.Corrupt),
            BackingFile = header.BackingFile,
            BackingPath = Resolve(path, header.BackingFile),
            BackingFormat = header.BackingFormat,
            DataFile = header.DataFile,
            DataPath = Resolve(path, header.DataFile),
            DataFileRaw = image.HasDataFile ? header.Autoclear.HasFlag(AutoclearFeatures.RawExternalData) : null,
            Snapshots = [.. image.Snapshots.Select(snapshot => Describe(snapshot, path))],
            Bitmaps = [.. image.ReadBitmaps().Select(bitmap => Describe(bitmap, path))],
        };
    }

    private static UblkImageSnapshot Describe(Snapshot snapshot, string path) => new()
    {
        Id = snapshot.Id,
        Name = snapshot.Name,
        Created = snapshot.Created.ToLocalTime(),
        VirtualSize = snapshot.DiskSize,
        VMStateSize = (long)snapshot.VmStateSize,
        VMClock = TimeSpan.FromTicks((long)(snapshot.GuestTime / 100)),
        Path = path,
    };

    private static UblkImageBitmap Describe(PersistentBitmap bitmap, string path) => new()
    {
        Name = bitmap.Name,
        Granularity = 1L << bitmap.GranularityBits,
        Enabled = bitmap.IsEnabled,
        InUse = !bitmap.IsConsistent,
        Path = path,
    };

    private static string? Resolve(string image, string? name)
    {
        try
        {
            return name is null ? null : ImageReference.Resolve(image, name);
        }
        catch (UblkException)
        {
            return null;
        }
    }
}
