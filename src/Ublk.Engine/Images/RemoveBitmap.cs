using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;

namespace Ublk.Images;

/// <summary>Removes a persistent bitmap from its image.</summary>
public sealed record RemoveBitmap : ImageOperation
{
    /// <summary>The bitmap's name.</summary>
    public required string Bitmap { get; init; }

    /// <inheritdoc/>
    internal override ImageResult? Run(ImageProgress progress)
    {
        using Qcow2Edit edit = Qcow2Edit.Open(OpenForWriting(Path), progress);
        PersistentBitmap bitmap = edit.Image.FindBitmap(Bitmap);
        Bitmaps.Drop(edit, bitmap);
        edit.Commit(Bitmaps.Replace(edit, [.. edit.Image.ReadBitmaps().Where(other => other.Name != bitmap.Name)]));
        return null;
    }
}
