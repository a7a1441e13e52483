using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;

namespace Ublk.Images;

/// <summary>Begins a persistent bitmap anew: it has no change, and no longer counts as in use.</summary>
public sealed record ClearBitmap : ImageOperation
{
    /// <summary>The bitmap's name.</summary>
    public required string Bitmap { get; init; }

    /// <inheritdoc/>
    internal override ImageResult? Run(ImageProgress progress)
    {
        using Qcow2Edit edit = Qcow2Edit.Open(OpenForWriting(Path), progress);
        PersistentBitmap former = edit.Image.FindBitmap(Bitmap);
        Bitmaps.Drop(edit, former);
        PersistentBitmap next = Bitmaps.Add(edit, former.Name, former.Flags & BitmapFlags.Enabled, former.GranularityBits);
        edit.Commit(Bitmaps.Replace(edit, [.. edit.Image.ReadBitmaps().Select(other => other.Name == former.Name ? next : other)]));
        return null;
    }
}
