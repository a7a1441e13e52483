using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;

namespace Ublk.Images;

/// <summary>Removes a snapshot from its image; what belonged to it alone is given back.</summary>
public sealed record RemoveSnapshot : ImageOperation
{
    /// <summary>The snapshot's id or name.</summary>
    public required string Snapshot { get; init; }

    /// <inheritdoc/>
    internal override ImageResult? Run(ImageProgress progress)
    {
        using Qcow2Edit edit = Qcow2Edit.Open(OpenForWriting(Path), progress);
        Qcow2File image = edit.Image;
        Snapshot snapshot = image.FindSnapshot(Snapshot);
        MetadataWalk.Visit(image, image.ReadL1(snapshot), edit.Drop, progress);
        edit.Drop(snapshot.L1Offset, snapshot.L1Size * 8L);
        edit.Commit([.. image.Snapshots.Where(other => other != snapshot)]);
        return null;
    }
}
