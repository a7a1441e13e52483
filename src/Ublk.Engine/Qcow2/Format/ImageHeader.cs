using System.Buffers.Binary;
using Ublk.Interop;

namespace Ublk.Qcow2.Format;

/// <summary>The first cluster of a qcow2 image: the header, its extensions and the backing file's name.</summary>
/// <remarks>Offsets and sizes are in bytes. What is unknown here is kept, so that writing what was read changes nothing.</remarks>
internal sealed record ImageHeader
{
    /// <summary>"QFI\xfb".</summary>
    public const uint Magic = 0x514649FB;

    /// <summary>Bytes of a header of version 2.</summary>
    public const int Version2Length = 72;

    /// <summary>The least bytes of a header of version 3.</summary>
    public const int Version3Length = 104;

    /// <summary>The longest name of a backing file, in bytes.</summary>
    public const int MaxBackingFileLength = 1023;

    // Where the fields are that change during an image's life; the rest is written with the whole header alone.
    public const int SizeField = 24;
    public const int L1SizeField = 36;
    public const int L1OffsetField = 40;
    public const int RefcountTableOffsetField = 48;
    public const int RefcountTableClustersField = 56;
    public const int SnapshotCountField = 60;
    public const int SnapshotsOffsetField = 64;
    public const int IncompatibleFeaturesField = 72;
    public const int CompatibleFeaturesField = 80;
    public const int AutoclearFeaturesField = 88;

    /// <summary>2 or 3.</summary>
    public required int Version { get; init; }

    /// <summary>Binary logarithm of the cluster size.</summary>
    public required int ClusterBits { get; init; }

    /// <summary>Size of the disk.</summary>
    public required long Size { get; init; }

    /// <summary>Encryption of the data.</summary>
    public EncryptionMethod Encryption { get; init; }

    /// <summary>Entries in the active L1 table.</summary>
    public int L1Size { get; init; }

    /// <summary>Where the active L1 table is.</summary>
    public long L1Offset { get; init; }

    /// <summary>Where the refcount table is.</summary>
    public long RefcountTableOffset { get; init; }

    /// <summary>Clusters of the refcount table.</summary>
    public int RefcountTableClusters { get; init; }

    /// <summary>How many snapshots there are.</summary>
    public int SnapshotCount { get; init; }

    /// <summary>Where the snapshot table is.</summary>
    public long SnapshotsOffset { get; init; }

    /// <summary>Features one must know.</summary>
    public IncompatibleFeatures Incompatible { get; init; }

    /// <summary>Features one may ignore.</summary>
    public CompatibleFeatures Compatible { get; init; }

    /// <summary>Features one clears.</summary>
    public AutoclearFeatures Autoclear { get; init; }

    /// <summary>Binary logarithm of the width of a reference count in bits.</summary>
    public int RefcountOrder { get; init; } = 4;

    /// <summary>The kind of compressed clusters.</summary>
    public CompressionType Compression { get; init; }

    /// <summary>What follows the compression type in the header: fields of later versions, or padding.</summary>
    public byte[] LaterFields { get; init; } = new byte[7];

    /// <summary>Sections after the header, in their order.</summary>
    public IReadOnlyList<HeaderExtension> Extensions { get; init; } = [];

    /// <summary>Bytes of the header without what follows it; of version 3, as version 2 has no choice.</summary>
    public int HeaderLength { get; init; } = Version3Length + 8;

    /// <summary>Where the backing file's name is; it stays there where it can. 0 for right after the extensions.</summary>
    public long BackingFileOffset { get; init; }

    /// <summary>The backing file's name as it is stored, or null.</summary>
    public string? BackingFile { get; init; }

    /// <summary>The sizes that follow.</summary>
    public ClusterLayout Layout => new(
        ClusterBits,
        RefcountOrder,
        Incompatible.HasFlag(IncompatibleFeatures.ExtendedL2),
        Incompatible.HasFlag(IncompatibleFeatures.ExternalData));

    /// <summary>The backing file's format as it is stored, or null.</summary>
    public string? BackingFormat => Find(HeaderExtension.BackingFormat)?.Text;

    /// <summary>The external data file's name as it is stored, or null.</summary>
    public string? DataFile => Find(HeaderExtension.DataFile)?.Text;

    /// <summary>Where the LUKS header and its key material are in the image, in bytes; null where there is none.</summary>
    public (long Offset, long Length)? LuksArea => Find(HeaderExtension.EncryptionHeader) is { Data: { Length: >= 16 } place }
        ? (BinaryPrimitives.ReadInt64BigEndian(place), BinaryPrimitives.ReadInt64BigEndian(place.AsSpan(8)))
        : null;

    /// <summary>Bytes of the header with its extensions, their end, and the backing file's name.</summary>
    public int StoredLength => int.Max(ExtensionsEnd, BackingFile is null ? 0 : NamePosition + RawText.ToBytes(BackingFile).Length);

    private int StoredHeaderLength => Version == 2 ? Version2Length : HeaderLength;

    private int ExtensionsEnd => StoredHeaderLength + Extensions.Sum(extension => extension.StoredLength) + HeaderExtension.HeadLength;

    // The name stays where it is if it can.
    private int NamePosition => BackingFileOffset >= ExtensionsEnd
        && BackingFileOffset <= (1 << ClusterBits) - RawText.ToBytes(BackingFile!).Length ? (int)BackingFileOffset : ExtensionsEnd;

    /// <summary>The last extension of a type, which is the one that counts, as with qemu; or null.</summary>
    public HeaderExtension? Find(uint type) => Extensions.LastOrDefault(extension => extension.Type == type);

    /// <summary>Whether a file begins as a qcow2 image does.</summary>
    public static bool IsQcow2(ReadOnlySpan<byte> start) => start.Length >= 4 && BinaryPrimitives.ReadUInt32BigEndian(start) == Magic;

    /// <summary>How much of an image <see cref="Parse"/> wants to see, from its first bytes.</summary>
    /// <param name="start">At least 24 bytes.</param>
    /// <param name="path">The image, for errors.</param>
    /// <exception cref="UblkException">It is no image, or one of an unknown version or cluster size.</exception>
    public static int PeekClusterSize(ReadOnlySpan<byte> start, string path)
    {
        ImageError.ThrowIf(start.Length < Version2Length || !IsQcow2(start), path,
            "it does not begin as one. If it is a raw image, attach it with -Target Loop");
        uint version = BinaryPrimitives.ReadUInt32BigEndian(start[4..]);
        if (version is not (2 or 3))
        {
            throw ImageError.NotSupported(path, $"is a qcow2 image of version {version}, which is unknown here. Convert it to version 3.");
        }

        uint bits = BinaryPrimitives.ReadUInt32BigEndian(start[20..]);
        return bits is >= ClusterLayout.MinClusterBits and <= ClusterLayout.MaxClusterBits
            ? 1 << (int)bits
            : throw ImageError.Invalid(path, $"its clusters have 2^{bits} bytes; 2^9 to 2^21 are possible");
    }

    /// <summary>Reads and checks a header.</summary>
    /// <param name="cluster">The image's first cluster, or all there is if the file is shorter.</param>
    /// <param name="path">The image, for errors.</param>
    /// <exception cref="UblkException">It is malformed, or needs a feature that is unknown here.</exception>
    public static ImageHeader Parse(ReadOnlySpan<byte> cluster, string path)
    {
        ImageHeader header = Read(cluster[..int.Min(cluster.Length, PeekClusterSize(cluster, path))], path);
        HeaderRules.Check(header, path);
        return header;
    }

    /// <summary>Writes the header, its extensions and the backing file's name.</summary>
    /// <returns>The first cluster, whole.</returns>
    /// <exception cref="UblkException">They do not fit one cluster.</exception>
    public byte[] ToCluster(string path)
    {
        byte[] cluster = new byte[1 << ClusterBits];
        Span<byte> rest = cluster;
        byte[] name = BackingFile is null ? [] : RawText.ToBytes(BackingFile);
        if (StoredLength > cluster.Length)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"The header of {path} does not fit a cluster of {cluster.Length} bytes. Choose larger clusters or a shorter name of the "
                    + "backing file.");
        }

        WriteFields(rest, StoredHeaderLength);
        rest = rest[StoredHeaderLength..];
        foreach (HeaderExtension extension in Extensions)
        {
            extension.WriteTo(rest);
            rest = rest[extension.StoredLength..];
        }

        if (name.Length > 0)
        {
            name.CopyTo(cluster, NamePosition);
            BinaryPrimitives.WriteInt64BigEndian(cluster.AsSpan(8), NamePosition);
            BinaryPrimitives.WriteInt32BigEndian(cluster.AsSpan(16), name.Length);
        }

        return cluster;
    }

    private void WriteFields(Span<byte> room, int headerLength)
    {
        BinaryPrimitives.WriteUInt32BigEndian(room, Magic);
        BinaryPrimitives.WriteInt32BigEndian(room[4..], Version);
        BinaryPrimitives.WriteInt32BigEndian(room[20..], ClusterBits);
        BinaryPrimitives.WriteInt64BigEndian(room[SizeField..], Size);
        BinaryPrimitives.WriteUInt32BigEndian(room[32..], (uint)Encryption);
        BinaryPrimitives.WriteInt32BigEndian(room[L1SizeField..], L1Size);
        BinaryPrimitives.WriteInt64BigEndian(room[L1OffsetField..], L1Offset);
        BinaryPrimitives.WriteInt64BigEndian(room[RefcountTableOffsetField..], RefcountTableOffset);
        BinaryPrimitives.WriteInt32BigEndian(room[RefcountTableClustersField..], RefcountTableClusters);
        BinaryPrimitives.WriteInt32BigEndian(room[SnapshotCountField..], SnapshotCount);
        BinaryPrimitives.WriteInt64BigEndian(room[SnapshotsOffsetField..], SnapshotsOffset);
        if (Version == 2)
        {
            return;
        }

        BinaryPrimitives.WriteUInt64BigEndian(room[IncompatibleFeaturesField..], (ulong)Incompatible);
        BinaryPrimitives.WriteUInt64BigEndian(room[CompatibleFeaturesField..], (ulong)Compatible);
        BinaryPrimitives.WriteUInt64BigEndian(room[AutoclearFeaturesField..], (ulong)Autoclear);
        BinaryPrimitives.WriteInt32BigEndian(room[96..], RefcountOrder);
        BinaryPrimitives.WriteInt32BigEndian(room[100..], headerLength);
        if (headerLength > Version3Length)
        {
            room[Version3Length] = (byte)Compression;
            LaterFields.CopyTo(room[(Version3Length + 1)..]);
        }
    }

    // Reads a header of version 2 or 3 from its cluster, or as much of that as the file has.
    private static ImageHeader Read(ReadOnlySpan<byte> cluster, string path)
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
            Size = Offset(cluster, SizeField, "size", path),
            Encryption = (EncryptionMethod)BinaryPrimitives.ReadUInt32BigEndian(cluster[32..]),
            L1Size = Count(cluster, L1SizeField, "L1 table", path),
            L1Offset = Offset(cluster, L1OffsetField, "L1 table's offset", path),
            RefcountTableOffset = Offset(cluster, RefcountTableOffsetField, "refcount table's offset", path),
            RefcountTableClusters = Count(cluster, RefcountTableClustersField, "refcount table", path),
            SnapshotCount = Count(cluster, SnapshotCountField, "snapshot table", path),
            SnapshotsOffset = Offset(cluster, SnapshotsOffsetField, "snapshot table's offset", path),
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
        bool hasMore = fields.Length > Version3Length;
        return header with
        {
            Incompatible = (IncompatibleFeatures)BinaryPrimitives.ReadUInt64BigEndian(fields[IncompatibleFeaturesField..]),
            Compatible = (CompatibleFeatures)BinaryPrimitives.ReadUInt64BigEndian(fields[CompatibleFeaturesField..]),
            Autoclear = (AutoclearFeatures)BinaryPrimitives.ReadUInt64BigEndian(fields[AutoclearFeaturesField..]),
            RefcountOrder = (int)order,
            Compression = hasMore ? (CompressionType)fields[Version3Length] : CompressionType.Zlib,
            HeaderLength = fields.Length,
            LaterFields = hasMore ? fields[(Version3Length + 1)..].ToArray() : [],
        };
    }

    private static int LengthOf(ReadOnlySpan<byte> cluster, int version, string path)
    {
        if (version == 2)
        {
            return Version2Length;
        }

        uint length = cluster.Length < Version3Length ? 0 : BinaryPrimitives.ReadUInt32BigEndian(cluster[100..]);
        return length >= Version3Length && length <= cluster.Length && length % 8 == 0
            ? (int)length
            : throw ImageError.Invalid(path, $"its header has {length} bytes, which is too few, too many or no multiple of 8");
    }

    private static string NameAt(ReadOnlySpan<byte> cluster, long offset, string path)
    {
        uint length = BinaryPrimitives.ReadUInt32BigEndian(cluster[16..]);
        return length <= MaxBackingFileLength && offset > 0 && offset <= cluster.Length - length
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
