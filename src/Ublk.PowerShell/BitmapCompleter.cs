using Ublk.Images;

namespace Ublk.PowerShell;

/// <summary>Completes the names of the persistent bitmaps in the image that the command line names.</summary>
public sealed class BitmapCompleter : ImagePartCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Name, string Description)> Read(string image) =>
        from bitmap in ImageInspector.Bitmaps(image)
        select (bitmap.Name, bitmap.InUse ? "in use" : bitmap.Enabled ? "enabled" : "disabled");
}
