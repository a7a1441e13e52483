using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>Persistent bitmaps, which record the changes of a disk since some time.</summary>
internal static class Bitmaps
{
    /// <summary>Removes them, with a warning, from an image whose disk is about to change under them.</summary>
    /// <returns>The header, which takes back that they are valid.</returns>
    public static ImageHeader Remove(Qcow2Edit edit, ImageHeader header, ImageProgress progress)
    {
        Qcow2File image = edit.Image;
        if (image.ReadBitmapDirectory() is { } directory)
        {
            progress.Warn($"The persistent bitmaps of {image.File.Path} are removed, because they would no longer be valid.");
            foreach (PersistentBitmap bitmap in image.ReadBitmaps())
            {
                foreach (L1Entry entry in image.ReadTable<L1Entry>(bitmap.TableOffset, (int)bitmap.TableSize))
                {
                    edit.Drop(entry.Offset, entry.Offset == 0 ? 0 : image.Layout.ClusterSize);
                }

                edit.Drop(bitmap.TableOffset, bitmap.TableSize * 8L);
            }

            edit.Drop(directory.Offset, directory.Size);
        }

        return Forget(header with { Autoclear = header.Autoclear & ~AutoclearFeatures.Bitmaps });
    }

    /// <summary>A header without the extension of bitmaps that are valid no longer, of which qemu would warn at each opening.</summary>
    /// <remarks>
    /// The end of the extensions takes its place, which changes the one sector that has its type. Where others follow, it stays: to take it
    /// out would move them, and a crash leaves no more than one sector whole.
    /// </remarks>
    public static ImageHeader Forget(ImageHeader header) =>
        !header.Autoclear.HasFlag(AutoclearFeatures.Bitmaps) && header.Extensions is [.., { Type: HeaderExtension.Bitmaps } last]
            ? header with { Extensions = [.. header.Extensions.SkipLast(1), last with { Type = HeaderExtension.End }] }
            : header;
}
