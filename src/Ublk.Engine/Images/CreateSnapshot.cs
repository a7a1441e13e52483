using System.Globalization;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;

namespace Ublk.Images;

/// <summary>Keeps the disk as it is now under a name, inside its image.</summary>
public sealed record CreateSnapshot : ImageOperation
{
    /// <summary>The snapshot's name.</summary>
    public required string Name { get; init; }

    /// <inheritdoc/>
    internal override ImageResult? Run(ImageProgress progress)
    {
        using Qcow2Edit edit = Qcow2Edit.Open(OpenForWriting(Path), progress);
        Qcow2File image = edit.Image;
        ImageHeader header = image.Header;
        RequireNew(image);
        L1Entry[] l1 = image.ReadL1();
        long copy = edit.Add(l1);
        MetadataWalk.Visit(image, l1, edit.Refer, progress);
        DateTimeOffset now = DateTimeOffset.UtcNow;
        Snapshot snapshot = new()
        {
            Id = NextId(image.Snapshots),
            Name = Name,
            L1Offset = copy,
            L1Size = l1.Length,
            Seconds = (uint)now.ToUnixTimeSeconds(),
            Nanoseconds = (uint)(now.Ticks % TimeSpan.TicksPerSecond * 100),
            DiskSize = header.Size,
            InstructionCount = ulong.MaxValue,
        };
        edit.Commit([.. image.Snapshots, snapshot]);
        return null;
    }

    private void RequireNew(Qcow2File image)
    {
        if (Name.Length == 0)
        {
            throw new UblkException(UblkError.InvalidArgument, "A snapshot needs a name.");
        }

        if (image.Snapshots.Any(snapshot => snapshot.Name == Name || snapshot.Id == Name))
        {
            throw new UblkException(UblkError.SnapshotExists, $"{Path} has a snapshot '{Name}' already. Choose another name.");
        }

        if (image.HasDataFile)
        {
            throw ImageError.NotSupported(Path, "has an external data file, with which qcow2 does not support snapshots.");
        }

        if (image.Snapshots.Count == HeaderRules.MaxSnapshots)
        {
            throw ImageError.NotSupported(Path, $"has {HeaderRules.MaxSnapshots} snapshots, which is the most there can be.");
        }
    }

    // By custom a number, one above the greatest.
    private static string NextId(IReadOnlyList<Snapshot> snapshots)
    {
        long last =
            snapshots.Select(snapshot => long.TryParse(snapshot.Id, NumberStyles.None, CultureInfo.InvariantCulture, out long id) ? id : 0)
            .DefaultIfEmpty(0).Max();
        return (last + 1).ToString(CultureInfo.InvariantCulture);
    }
}
