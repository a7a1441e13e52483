using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>Changes of an image's table of snapshots.</summary>
internal static class SnapshotChoice
{
    /// <summary>Makes sure that a name may be a new snapshot's.</summary>
    /// <exception cref="UblkException">It is taken, or empty, or the image takes no more snapshots.</exception>
    public static void RequireNew(Qcow2File image, string name)
    {
        if (name.Length == 0)
        {
            throw new UblkException(UblkError.InvalidArgument, "A snapshot needs a name.");
        }

        if (image.Snapshots.Any(snapshot => snapshot.Name == name || snapshot.Id == name))
        {
            throw new UblkException(UblkError.SnapshotExists, $"{image.File.Path} has a snapshot '{name}' already. Choose another name.");
        }

        if (image.HasDataFile)
        {
            throw ImageError.NotSupported(image.File.Path, "has its data in an external file, beside which qcow2 knows no snapshots.");
        }

        if (image.Snapshots.Count == HeaderRules.MaxSnapshots)
        {
            throw ImageError.NotSupported(image.File.Path, $"has {HeaderRules.MaxSnapshots} snapshots, which is the most there can be.");
        }
    }

    /// <summary>Gives an image another table of snapshots, and with it whatever else the edit is about.</summary>
    public static void ReplaceTable(Qcow2Edit edit, IReadOnlyList<Snapshot> snapshots, ImageHeader header)
    {
        edit.Drop(header.SnapshotsOffset, edit.Image.SnapshotTableLength);
        long place = edit.Add(SnapshotTable.ToBytes(snapshots));
        edit.Commit(header with { SnapshotCount = snapshots.Count, SnapshotsOffset = place });
    }
}
