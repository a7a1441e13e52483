using System.Buffers.Binary;
using System.Numerics;
using Ublk.Files;
using Ublk.Qcow2.Encryption;
using Ublk.Qcow2.Format;

namespace Ublk.Images;

/// <summary>The header of a new qcow2 image.</summary>
internal static class NewImageHeader
{
    private const int DefaultClusterSize = 64 << 10;

    // With extended L2 entries: subclusters of 4 KiB, a page of the host's cache and the largest block of its disks.
    private const int DefaultExtendedClusterSize = 128 << 10;
    private const int MinExtendedClusterSize = 16 << 10;
    private const int DefaultRefcountBits = 16;

    /// <summary>Makes it; its L1 table is in the second cluster, and its refcount table has no place yet.</summary>
    /// <param name="options">What the image is like.</param>
    /// <param name="size">Size of the disk in bytes.</param>
    /// <param name="path">The image, for errors.</param>
    /// <exception cref="UblkException">An option is out of its range, or contradicts another.</exception>
    public static ImageHeader Make(NewImageOptions options, long size, string path)
    {
        Check(options);
        bool isExtended = IsExtended(options);
        int clusterBits = BitOperations.Log2(
            (uint)(options.ClusterSize ?? (isExtended ? DefaultExtendedClusterSize : DefaultClusterSize)));
        IncompatibleFeatures incompatible = IncompatibleFeatures.None;
        incompatible |= isExtended ? IncompatibleFeatures.ExtendedL2 : 0;
        incompatible |= options.DataFile is null ? 0 : IncompatibleFeatures.ExternalData;
        incompatible |= options.CompressionType == ImageCompression.Zstd ? IncompatibleFeatures.CompressionType : 0;
        ImageHeader header = new()
        {
            Version = options.Version,
            ClusterBits = clusterBits,
            Size = size,
            RefcountOrder = BitOperations.Log2((uint)(options.RefcountBits ?? DefaultRefcountBits)),
            Incompatible = incompatible,
            Compatible = options.LazyRefcounts ? CompatibleFeatures.LazyRefcounts : CompatibleFeatures.None,
            Autoclear = options.DataFileRaw ? AutoclearFeatures.RawExternalData : AutoclearFeatures.None,
            Compression = CompressionOf(options),
            BackingFile = options.BackingFile,
            Extensions = [.. Extensions(options)],
        };
        long entries = header.Layout.L1EntriesFor(size);
        long largest = HeaderRules.MaxL1Bytes / 8 * header.Layout.L2Coverage;
        return entries <= HeaderRules.MaxL1Bytes / 8
            ? Encrypt(header with { L1Size = (int)entries, L1Offset = header.Layout.ClusterSize }, options)
            : throw Invalid(
                $"A disk of {size} bytes is too large for clusters of {header.Layout.ClusterSize} bytes: {largest} are possible. "
                    + $"Choose larger clusters for {path}.");
    }

    /// <summary>How the image's clusters are compressed, in the format's words.</summary>
    public static CompressionType CompressionOf(NewImageOptions options) =>
        options.CompressionType == ImageCompression.Zstd ? CompressionType.Zstd : CompressionType.Zlib;

    // The LUKS header follows the L1 table.
    private static ImageHeader Encrypt(ImageHeader header, NewImageOptions options)
    {
        if (options.KeyFile is null)
        {
            return header;
        }

        byte[] area = new byte[16];
        BinaryPrimitives.WriteInt64BigEndian(
            area, header.L1Offset + (header.Layout.ClustersFor(header.L1Size * 8L) << header.Layout.ClusterBits));
        BinaryPrimitives.WriteInt64BigEndian(area.AsSpan(8), LuksFormat.Length);
        return header with
        {
            Encryption = EncryptionMethod.Luks,
            Extensions = [.. header.Extensions, new HeaderExtension(HeaderExtension.EncryptionHeader, area)],
        };
    }

    // A write over a backing file copies the rest of what is allocated: a subcluster of 4 KiB instead of a cluster of 64 KiB.
    private static bool IsExtended(NewImageOptions options) => options.ExtendedL2
        ?? (options.BackingFile is not null && options.Version >= 3 && options.ClusterSize is null or >= MinExtendedClusterSize);

    private static void Check(NewImageOptions options)
    {
        if (options.Version is not (2 or 3))
        {
            throw Invalid($"There is no version {options.Version} of qcow2. Choose 2 or 3.");
        }

        if (options.ClusterSize is { } size && (!BitOperations.IsPow2(size) || size < 512 || size > 2 << 20))
        {
            throw Invalid($"A cluster cannot have {size} bytes. Choose a power of two from 512 to 2 MiB.");
        }

        if (options.RefcountBits is { } bits && (!BitOperations.IsPow2(bits) || bits is < 1 or > 64))
        {
            throw Invalid($"A reference count cannot have {bits} bits. Choose 1, 2, 4, 8, 16, 32 or 64.");
        }

        bool isExtended = IsExtended(options);
        if (isExtended && options.ClusterSize < MinExtendedClusterSize)
        {
            throw Invalid("Extended L2 entries need clusters of at least 16 KiB.");
        }

        bool needsVersion3 = isExtended || options.LazyRefcounts || options.DataFile is not null
            || options.CompressionType != ImageCompression.Zlib || (options.RefcountBits ?? DefaultRefcountBits) != DefaultRefcountBits;
        if (options.Version == 2 && needsVersion3)
        {
            throw Invalid(
                "Version 2 of qcow2 has 16-bit reference counts and zlib, and does not support extended L2 entries, lazy reference counts "
                    + "or external data files. Choose version 3.");
        }

        if (options.BackingFile is not null && options.BackingFormat is null)
        {
            throw Invalid("A backing file's format is never guessed. Give it with -BackingFormat.");
        }

        if (options.BackingFile is not null && options.DataFileRaw)
        {
            throw Invalid(
                "A raw data file holds the whole disk, so there can be no backing file. Leave one of -BackingPath and -DataFileRaw out.");
        }

        if (options.KeyFile is not null && (options.Version == 2 || options.DataFile is not null))
        {
            throw Invalid("An encrypted image has version 3 and no external data file. Leave out -KeyFile, or the other option.");
        }

        if (options.KeyFile is not null && options.Preallocation != ImagePreallocation.Off)
        {
            throw Invalid("Preallocated clusters of an encrypted image would read as random data. Leave out -Preallocation.");
        }

        if (options.DataFileRaw && options.DataFile is null)
        {
            throw Invalid("-DataFileRaw needs a -DataFile.");
        }

        if (options.BackingFile is not null && options.Preallocation != ImagePreallocation.Off && !isExtended)
        {
            throw Invalid("What is preallocated hides the backing file. Leave -Preallocation out, or use -ExtendedL2.");
        }
    }

    private static IEnumerable<HeaderExtension> Extensions(NewImageOptions options)
    {
        if (options.BackingFormat is { } format && options.BackingFile is not null)
        {
            yield return HeaderExtension.OfText(HeaderExtension.BackingFormat, format == ImageFormat.Raw ? "raw" : "qcow2");
        }

        if (options.DataFile is { } data)
        {
            yield return HeaderExtension.OfText(HeaderExtension.DataFile, data);
        }

        // As qemu does it: small clusters have no room for the names.
        if (options.Version >= 3 && options.ClusterSize is null or >= 4096)
        {
            yield return FeatureName.ToExtension(FeatureName.Known);
        }
    }

    private static UblkException Invalid(string message) => new(UblkError.InvalidArgument, message);
}
