using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;

namespace Ublk.Images;

/// <summary>Makes the disk what it was when a snapshot was taken; the snapshot stays.</summary>
public sealed record RestoreSnapshot : ImageOperation
{
    /// <summary>The snapshot's id or name.</summary>
    public required string Snapshot { get; init; }

    /// <inheritdoc/>
    internal override ImageResult? Run(ImageProgress progress)
    {
        using Qcow2Edit edit = Qcow2Edit.Open(OpenForWriting(Path), progress);
        Qcow2File image = edit.Image;
        ImageHeader header = image.Header;
        Snapshot snapshot = image.FindSnapshot(Snapshot);
        L1Entry[] current = image.ReadL1();
        L1Entry[] restored = image.ReadL1(snapshot);
        long size = snapshot.DiskSize ?? header.Size;
        if (restored.Length < image.Layout.L1EntriesFor(size))
        {
            Array.Resize(ref restored, (int)image.Layout.L1EntriesFor(size));
        }

        long place = edit.Add(restored);
        MetadataWalk.Visit(image, restored, edit.Refer, progress);
        MetadataWalk.Visit(image, current, edit.Drop, progress);
        edit.Drop(header.L1Offset, header.L1Size * 8L);
        edit.Commit(Bitmaps.Remove(edit, progress) with { L1Offset = place, L1Size = restored.Length, Size = size });
        return null;
    }
}
