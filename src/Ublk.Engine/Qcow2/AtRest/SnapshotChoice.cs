using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>The snapshots of an image by name, and its table of them as a whole.</summary>
internal static class SnapshotChoice
{
    /// <summary>The snapshot of an id or, where no id is that, of a name.</summary>
    /// <exception cref="UblkException">There is none, or several have the name.</exception>
    public static Snapshot Find(Qcow2File image, string idOrName) => Find(image.Snapshots, image.File.Path, idOrName);

    /// <summary>The snapshot of an id or, where no id is that, of a name.</summary>
    /// <param name="snapshots">All snapshots of the image.</param>
    /// <param name="path">The image, for errors.</param>
    /// <param name="idOrName">The id or the name.</param>
    /// <exception cref="UblkException">There is none, or several have the name.</exception>
    public static Snapshot Find(IReadOnlyList<Snapshot> snapshots, string path, string idOrName)
    {
        if (snapshots.FirstOrDefault(snapshot => snapshot.Id == idOrName) is { } byId)
        {
            return byId;
        }

        Snapshot[] named = [.. snapshots.Where(snapshot => snapshot.Name == idOrName)];
        return named switch
        {
            [Snapshot only] => only,
            [] => throw new UblkException(UblkError.SnapshotNotFound,
                $"{path} has no snapshot '{idOrName}'. Get-UblkImageSnapshot shows those it has."),
            _ => throw new UblkException(UblkError.SnapshotNotFound,
                $"{path} has {named.Length} snapshots named '{idOrName}'. "
                    + $"Choose by id: {string.Join(", ", named.Select(snapshot => snapshot.Id))}."),
        };
    }

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
