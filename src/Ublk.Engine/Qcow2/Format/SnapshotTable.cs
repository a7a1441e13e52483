using System.Buffers.Binary;
using Ublk.Interop;

namespace Ublk.Qcow2.Format;

/// <summary>The snapshot table: entries of varying length, one after the other.</summary>
internal static class SnapshotTable
{
    /// <summary>Bytes of the largest table.</summary>
    public const int MaxBytes = 64 << 20;

    private const int FixedLength = 40;
    private const int MaxExtraLength = 1024;

    /// <summary>Reads the table.</summary>
    /// <param name="table">The file from the table's place on; as much as <see cref="MaxBytes"/> or the file allow.</param>
    /// <param name="count">The entries.</param>
    /// <param name="layout">The image's layout.</param>
    /// <param name="path">The image, for errors.</param>
    /// <param name="length">Bytes the table has, with its padding.</param>
    /// <exception cref="UblkException">An entry does not fit, or is malformed.</exception>
    public static IReadOnlyList<Snapshot> Parse(ReadOnlySpan<byte> table, int count, ClusterLayout layout, string path, out int length)
    {
        List<Snapshot> snapshots = [];
        length = 0;
        for (int index = 0; index < count; index++)
        {
            ReadOnlySpan<byte> rest = table[int.Min(length, table.Length)..];
            RequireInside(rest.Length >= FixedLength, path, index);
            int idLength = BinaryPrimitives.ReadUInt16BigEndian(rest[12..]);
            int nameLength = BinaryPrimitives.ReadUInt16BigEndian(rest[14..]);
            uint extraLength = BinaryPrimitives.ReadUInt32BigEndian(rest[36..]);
            ImageError.ThrowIf(extraLength > MaxExtraLength, path,
                $"entry {index} of its snapshot table has {extraLength} bytes of extra data");
            int entryLength = FixedLength + (int)extraLength + idLength + nameLength;
            RequireInside(entryLength <= rest.Length, path, index);
            ReadOnlySpan<byte> names = rest.Slice(FixedLength + (int)extraLength, idLength + nameLength);
            Snapshot snapshot = Read(rest, rest.Slice(FixedLength, (int)extraLength), names[..idLength], names[idLength..]);
            Check(snapshot, layout, path);
            snapshots.Add(snapshot);
            length += Padded(entryLength);
        }

        return snapshots;
    }

    /// <summary>Writes the table.</summary>
    public static byte[] ToBytes(IReadOnlyList<Snapshot> snapshots)
    {
        byte[] table = new byte[snapshots.Sum(LengthOf)];
        Span<byte> rest = table;
        foreach (Snapshot snapshot in snapshots)
        {
            Write(snapshot, rest);
            rest = rest[LengthOf(snapshot)..];
        }

        return table;
    }

    private static Snapshot Read(
        ReadOnlySpan<byte> entry, ReadOnlySpan<byte> extra, ReadOnlySpan<byte> id, ReadOnlySpan<byte> name) => new()
    {
        L1Offset = BinaryPrimitives.ReadInt64BigEndian(entry),
        L1Size = BinaryPrimitives.ReadInt32BigEndian(entry[8..]),
        Id = RawText.Of(id),
        Name = RawText.Of(name),
        Seconds = BinaryPrimitives.ReadUInt32BigEndian(entry[16..]),
        Nanoseconds = BinaryPrimitives.ReadUInt32BigEndian(entry[20..]),
        GuestTime = BinaryPrimitives.ReadUInt64BigEndian(entry[24..]),
        VmStateSize = extra.Length >= 8 ? BinaryPrimitives.ReadUInt64BigEndian(extra) : BinaryPrimitives.ReadUInt32BigEndian(entry[32..]),
        DiskSize = extra.Length >= 16 ? BinaryPrimitives.ReadInt64BigEndian(extra[8..]) : null,
        InstructionCount = extra.Length >= 24 ? BinaryPrimitives.ReadUInt64BigEndian(extra[16..]) : null,
        LaterData = extra.Length > 24 ? extra[24..].ToArray() : [],
    };

    private static void Write(Snapshot snapshot, Span<byte> room)
    {
        byte[] id = RawText.ToBytes(snapshot.Id);
        byte[] name = RawText.ToBytes(snapshot.Name);
        BinaryPrimitives.WriteInt64BigEndian(room, snapshot.L1Offset);
        BinaryPrimitives.WriteInt32BigEndian(room[8..], snapshot.L1Size);
        BinaryPrimitives.WriteUInt16BigEndian(room[12..], checked((ushort)id.Length));
        BinaryPrimitives.WriteUInt16BigEndian(room[14..], checked((ushort)name.Length));
        BinaryPrimitives.WriteUInt32BigEndian(room[16..], snapshot.Seconds);
        BinaryPrimitives.WriteUInt32BigEndian(room[20..], snapshot.Nanoseconds);
        BinaryPrimitives.WriteUInt64BigEndian(room[24..], snapshot.GuestTime);
        BinaryPrimitives.WriteUInt32BigEndian(room[32..], (uint)ulong.Min(snapshot.VmStateSize, uint.MaxValue));
        int extraLength = ExtraLengthOf(snapshot);
        BinaryPrimitives.WriteInt32BigEndian(room[36..], extraLength);
        Span<byte> extra = room.Slice(FixedLength, extraLength);
        if (snapshot.DiskSize is { } size)
        {
            BinaryPrimitives.WriteUInt64BigEndian(extra, snapshot.VmStateSize);
            BinaryPrimitives.WriteInt64BigEndian(extra[8..], size);
        }

        if (extraLength >= 24)
        {
            BinaryPrimitives.WriteUInt64BigEndian(extra[16..], snapshot.InstructionCount ?? ulong.MaxValue);
            snapshot.LaterData.CopyTo(extra[24..]);
        }

        id.CopyTo(room[(FixedLength + extraLength)..]);
        name.CopyTo(room[(FixedLength + extraLength + id.Length)..]);
    }

    private static void Check(Snapshot snapshot, ClusterLayout layout, string path) => ImageError.ThrowIf(
        snapshot.L1Offset is < 0 or > L1Entry.MaxOffset || !layout.IsAligned(snapshot.L1Offset)
            || snapshot.L1Size is < 0 or > HeaderRules.MaxL1Bytes / 8 || snapshot.DiskSize < 0
            || (snapshot.L1Offset == 0 && snapshot.L1Size > 0),
        path, $"the L1 table of its snapshot '{snapshot.Name}' has an invalid host offset, or is too large");

    private static int ExtraLengthOf(Snapshot snapshot) =>
        snapshot.DiskSize is null
            ? 0
            : snapshot.InstructionCount is null && snapshot.LaterData.Length == 0 ? 16 : 24 + snapshot.LaterData.Length;

    private static int LengthOf(Snapshot snapshot) => Padded(FixedLength + ExtraLengthOf(snapshot)
        + RawText.ToBytes(snapshot.Id).Length + RawText.ToBytes(snapshot.Name).Length);

    private static int Padded(int length) => (length + 7) & ~7;

    private static void RequireInside(bool isInside, string path, int index) =>
        ImageError.ThrowIf(!isInside, path, $"entry {index} of its snapshot table is beyond the table's end");
}

/// <summary>One internal snapshot, as the snapshot table has it.</summary>
internal sealed record Snapshot
{
    /// <summary>Where its L1 table is.</summary>
    public required long L1Offset { get; init; }

    /// <summary>Entries in its L1 table.</summary>
    public required int L1Size { get; init; }

    /// <summary>Its id, unique in the image; by custom a number.</summary>
    public required string Id { get; init; }

    /// <summary>Its name, which need not be unique.</summary>
    public required string Name { get; init; }

    /// <summary>Seconds from 1970 to when it was taken.</summary>
    public uint Seconds { get; init; }

    /// <summary>Nanoseconds after that second.</summary>
    public uint Nanoseconds { get; init; }

    /// <summary>For how long the guest had run, in nanoseconds.</summary>
    public ulong GuestTime { get; init; }

    /// <summary>Bytes of saved state of a virtual machine; 0 for none.</summary>
    public ulong VmStateSize { get; init; }

    /// <summary>Size of the disk when it was taken, in bytes; null in old images: then it is the image's.</summary>
    public long? DiskSize { get; init; }

    /// <summary>Count of executed instructions for replay; null where the entry does not have it.</summary>
    public ulong? InstructionCount { get; init; }

    /// <summary>Extra data behind what is known here.</summary>
    public byte[] LaterData { get; init; } = [];

    /// <summary>When it was taken.</summary>
    public DateTimeOffset Created => DateTimeOffset.FromUnixTimeSeconds(Seconds).AddTicks(Nanoseconds / 100);
}
