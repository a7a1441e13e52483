using System.Buffers.Binary;
using Ublk.Interop;

namespace Ublk.Qcow2.Format;

/// <summary>Takes a header apart. What it finds is then judged by <see cref="HeaderRules"/>.</summary>
internal static class HeaderReader
{
    /// <summary>Reads a header of version 2 or 3.</summary>
    /// <param name="cluster">The first cluster; at least a header of version 2 of it.</param>
    /// <param name="path">The image, for errors.</param>
    /// <exception cref="UblkException">A part is outside the cluster, or a number too large for any image.</exception>
    public static ImageHeader Read(ReadOnlySpan<byte> cluster, string path)
    {
        int version = BinaryPrimitives.ReadInt32BigEndian(cluster[4..]);
        int length = LengthOf(cluster, version, path);
        long nameOffset = BinaryPrimitives.ReadInt64BigEndian(cluster[8..]);
        string? name = nameOffset == 0 ? null : NameAt(cluster, nameOffset, path);
        int areaEnd = name is not null && nameOffset >= length ? (int)nameOffset : cluster.Length;
        ImageHeader header = new()
        {
            Version = version,
            ClusterBits = BinaryPrimitives.ReadInt32BigEndian(cluster[20..]),
            Size = Offset(cluster, ImageHeader.SizeField, "size", path),
            Encryption = (EncryptionMethod)BinaryPrimitives.ReadUInt32BigEndian(cluster[32..]),
            L1Size = Count(cluster, ImageHeader.L1SizeField, "L1 table", path),
            L1Offset = Offset(cluster, ImageHeader.L1OffsetField, "L1 table's offset", path),
            RefcountTableOffset = Offset(cluster, ImageHeader.RefcountTableOffsetField, "refcount table's offset", path),
            RefcountTableClusters = Count(cluster, ImageHeader.RefcountTableClustersField, "refcount table", path),
            SnapshotCount = Count(cluster, ImageHeader.SnapshotCountField, "snapshot table", path),
            SnapshotsOffset = Offset(cluster, ImageHeader.SnapshotsOffsetField, "snapshot table's offset", path),
            BackingFile = name,
            BackingFileOffset = nameOffset,
            Extensions = HeaderExtension.ParseAll(cluster[length..areaEnd], path),
        };
        return version == 2 ? header : ReadVersion3(header, cluster[..length], path);
    }

    private static ImageHeader ReadVersion3(ImageHeader header, ReadOnlySpan<byte> fields, string path)
    {
        uint order = BinaryPrimitives.ReadUInt32BigEndian(fields[96..]);
        ImageError.ThrowIf(order > 6, path, $"its reference counts have 2^{order} bits; 2^0 to 2^6 are possible");
        bool hasMore = fields.Length > ImageHeader.Version3Length;
        return header with
        {
            Incompatible = (IncompatibleFeatures)BinaryPrimitives.ReadUInt64BigEndian(fields[ImageHeader.IncompatibleFeaturesField..]),
            Compatible = (CompatibleFeatures)BinaryPrimitives.ReadUInt64BigEndian(fields[ImageHeader.CompatibleFeaturesField..]),
            Autoclear = (AutoclearFeatures)BinaryPrimitives.ReadUInt64BigEndian(fields[ImageHeader.AutoclearFeaturesField..]),
            RefcountOrder = (int)order,
            Compression = hasMore ? (CompressionType)fields[ImageHeader.Version3Length] : CompressionType.Zlib,
            HeaderLength = fields.Length,
            LaterFields = hasMore ? fields[(ImageHeader.Version3Length + 1)..].ToArray() : [],
        };
    }

    private static int LengthOf(ReadOnlySpan<byte> cluster, int version, string path)
    {
        if (version == 2)
        {
            return ImageHeader.Version2Length;
        }

        uint length = cluster.Length < ImageHeader.Version3Length ? 0 : BinaryPrimitives.ReadUInt32BigEndian(cluster[100..]);
        return length >= ImageHeader.Version3Length && length <= cluster.Length && length % 8 == 0
            ? (int)length
            : throw ImageError.Invalid(path, $"its header has {length} bytes, which is too few, too many or no multiple of 8");
    }

    private static string NameAt(ReadOnlySpan<byte> cluster, long offset, string path)
    {
        uint length = BinaryPrimitives.ReadUInt32BigEndian(cluster[16..]);
        return length <= ImageHeader.MaxBackingFileLength && offset > 0 && offset <= cluster.Length - length
            ? RawText.Of(cluster.Slice((int)offset, (int)length))
            : throw ImageError.Invalid(path, "the name of its backing file is too long or not in the first cluster");
    }

    private static long Offset(ReadOnlySpan<byte> cluster, int field, string what, string path)
    {
        long value = BinaryPrimitives.ReadInt64BigEndian(cluster[field..]);
        return value >= 0 ? value : throw ImageError.Invalid(path, $"its {what} is beyond any file");
    }

    private static int Count(ReadOnlySpan<byte> cluster, int field, string what, string path)
    {
        int value = BinaryPrimitives.ReadInt32BigEndian(cluster[field..]);
        return value >= 0 ? value : throw ImageError.Invalid(path, $"its {what} is too large");
    }
}
