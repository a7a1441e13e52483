using System.Numerics;

namespace Ublk.Qcow2.Format;

/// <summary>What must hold in every header. The bounds on tables are qemu's, and keep a forged header from taking memory.</summary>
internal static class HeaderRules
{
    /// <summary>Bytes of the largest L1 table.</summary>
    public const int MaxL1Bytes = 32 << 20;

    /// <summary>Bytes of the largest refcount table.</summary>
    public const int MaxRefcountTableBytes = 8 << 20;

    /// <summary>The most snapshots.</summary>
    public const int MaxSnapshots = 65536;

    /// <summary>Checks a header against the specification and the bounds.</summary>
    /// <exception cref="UblkException">It breaks a rule, or needs a feature that is unknown here.</exception>
    public static void Check(ImageHeader header, string path)
    {
        RequireKnownFeatures(header, path);
        RequireConsistentFeatures(header, path);
        ClusterLayout layout = header.Layout;
        ImageError.ThrowIf(header.L1Size > MaxL1Bytes / 8, path,
            $"its L1 table has {header.L1Size} entries; {MaxL1Bytes / 8} are possible");
        ImageError.ThrowIf(header.L1Size < layout.L1EntriesFor(header.Size), path,
            $"its L1 table has {header.L1Size} entries, but a disk of {header.Size} bytes needs {layout.L1EntriesFor(header.Size)}");
        ImageError.ThrowIf((long)header.RefcountTableClusters << header.ClusterBits > MaxRefcountTableBytes, path,
            $"its refcount table has {header.RefcountTableClusters} clusters");
        ImageError.ThrowIf(header.SnapshotCount > MaxSnapshots, path,
            $"it has {header.SnapshotCount} snapshots; {MaxSnapshots} are possible");

        // Which the kernel would read up to the zero byte, as the name of another file.
        ImageError.ThrowIf(header.BackingFile?.Contains('\0') == true || header.DataFile?.Contains('\0') == true, path,
            "the name of its backing file or data file has a zero byte");
        RequireValidOffset(layout, header.L1Offset, header.L1Size, "L1 table", path);
        RequireValidOffset(layout, header.RefcountTableOffset, header.RefcountTableClusters, "refcount table", path);
        RequireValidOffset(layout, header.SnapshotsOffset, header.SnapshotCount, "snapshot table", path);
    }

    /// <summary>Refuses encrypted images, by the kind of their encryption, where data is read without its key.</summary>
    /// <exception cref="UblkException">The image is encrypted.</exception>
    public static void RefuseEncryption(ImageHeader header, string path)
    {
        string? kind = header.Encryption switch
        {
            EncryptionMethod.None => null,
            EncryptionMethod.Aes => "with qcow2's legacy AES",
            EncryptionMethod.Luks => "with LUKS",
            _ => $"by the unknown method {(uint)header.Encryption}",
        };
        if (kind is not null)
        {
            throw ImageError.NotSupported(path,
                $"is encrypted {kind}, and this looks at the data itself. Attach it as a disk, with -KeyFile, and work with that; or use "
                    + "qemu-img with --object secret.");
        }
    }

    private static void RequireKnownFeatures(ImageHeader header, string path)
    {
        ulong unknown = (ulong)(header.Incompatible & ~IncompatibleFeatures.Known);
        if (unknown == 0)
        {
            return;
        }

        IReadOnlyList<FeatureName> names = FeatureName.ParseAll(header.Find(HeaderExtension.FeatureNames)?.Data);
        List<string> missing = [];
        for (; unknown != 0; unknown &= unknown - 1)
        {
            int bit = BitOperations.TrailingZeroCount(unknown);
            string? name = names.FirstOrDefault(feature => feature.Kind == FeatureKind.Incompatible && feature.Bit == bit)?.Name;
            missing.Add(name is null ? $"number {bit}" : $"'{name}'");
        }

        throw ImageError.NotSupported(path,
            $"needs the qcow2 feature {string.Join(" and ", missing)}, which is unknown here. Open it with the program that made it.");
    }

    private static void RequireConsistentFeatures(ImageHeader header, string path)
    {
        bool hasExternalData = header.Incompatible.HasFlag(IncompatibleFeatures.ExternalData);
        bool namesCompression = header.Incompatible.HasFlag(IncompatibleFeatures.CompressionType);
        ImageError.ThrowIf(namesCompression != (header.Compression != CompressionType.Zlib), path,
            "its compression type and the bit that announces it contradict each other");
        if (header.Compression > CompressionType.Zstd)
        {
            throw ImageError.NotSupported(path, $"has clusters of the unknown compression type {(int)header.Compression}.");
        }

        bool isRaw = header.Autoclear.HasFlag(AutoclearFeatures.RawExternalData);
        ImageError.ThrowIf(header.Incompatible.HasFlag(IncompatibleFeatures.ExtendedL2) && header.ClusterBits < 14, path,
            "it has extended L2 entries in clusters of less than 16 KiB");
        ImageError.ThrowIf(isRaw && !hasExternalData, path, "it calls a data file raw that it does not have");
        ImageError.ThrowIf(isRaw && header.BackingFile is not null, path, "it has a raw external data file and a backing file");
        ImageError.ThrowIf(hasExternalData && header.SnapshotCount > 0, path, "it has snapshots and an external data file");
    }

    private static void RequireValidOffset(ClusterLayout layout, long offset, int count, string what, string path) =>
        ImageError.ThrowIf(count > 0 && (offset == 0 || !layout.IsAligned(offset) || offset > L1Entry.MaxOffset), path,
            $"its {what} has the invalid host offset {offset}");
}
