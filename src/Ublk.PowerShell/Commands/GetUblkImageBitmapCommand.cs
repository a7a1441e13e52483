using System.Management.Automation;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Shows the persistent bitmaps inside images.</summary>
[Cmdlet(VerbsCommon.Get, "UblkImageBitmap", DefaultParameterSetName = "Path")]
[OutputType(typeof(UblkImageBitmap))]
public sealed class GetUblkImageBitmapCommand : UblkImagePathCommand
{
    /// <summary>Bitmaps by name.</summary>
    [Parameter(Position = 1)]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(BitmapCompleter))]
    public string[] Name { get; set; } = ["*"];

    /// <inheritdoc/>
    protected override void Process(string image)
    {
        IReadOnlyList<UblkImageBitmap> bitmaps = ImageInspector.Bitmaps(image);
        foreach (string name in Name)
        {
            Attempt(name, () => Write(image, name, bitmaps));
        }
    }

    private void Write(string image, string name, IReadOnlyList<UblkImageBitmap> bitmaps)
    {
        WildcardPattern pattern = new(name);
        UblkImageBitmap[] found = [.. bitmaps.Where(bitmap => pattern.IsMatch(bitmap.Name))];
        if (found.Length == 0 && !WildcardPattern.ContainsWildcardCharacters(name))
        {
            throw new UblkException(UblkError.BitmapNotFound,
                $"{image} has no bitmap '{name}'. Get-UblkImageBitmap without a name shows those it has.");
        }

        WriteObject(found, enumerateCollection: true);
    }
}
