using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>Persistent bitmaps, which record the changes of a disk since some time.</summary>
internal static class Bitmaps
{
    private const int Sector = 512;

    /// <summary>Makes a bitmap that has nothing as changed, or everything.</summary>
    /// <returns>Its entry of the directory, for <see cref="Replace"/>.</returns>
    public static PersistentBitmap Add(
        Qcow2Edit edit, string name, BitmapFlags flags, int granularityBits, bool isAllChanged = false)
    {
        Qcow2File image = edit.Image;
        L1Entry[] table = new L1Entry[PersistentBitmap.ClustersFor(image.Header.Size, granularityBits, image.Layout)];
        Array.Fill(table, new L1Entry(isAllChanged ? ImageTables.AllOnes : 0));
        return new PersistentBitmap(name, edit.Add(table), (uint)table.Length, flags, PersistentBitmap.TracksWrites, granularityBits);
    }

    /// <summary>Lets a bitmap's clusters and its table go.</summary>
    public static void Drop(Qcow2Edit edit, PersistentBitmap bitmap)
    {
        foreach (L1Entry entry in edit.Image.ReadTable<L1Entry>(bitmap.TableOffset, (int)bitmap.TableSize))
        {
            edit.Drop(entry.Offset, entry.Offset == 0 ? 0 : edit.Image.Layout.ClusterSize);
        }

        edit.Drop(bitmap.TableOffset, bitmap.TableSize * 8L);
    }

    /// <summary>Gives the image other bitmaps.</summary>
    /// <returns>The header that leads to them; it differs from the present one in the first sector alone.</returns>
    /// <exception cref="UblkException">The header has no room for them, or the image cannot be written.</exception>
    public static ImageHeader Replace(Qcow2Edit edit, IReadOnlyList<PersistentBitmap> bitmaps)
    {
        Qcow2File image = edit.Image;
        if (image.ReadBitmapDirectory() is { } former)
        {
            edit.Drop(former.Offset, former.Size);
        }

        if (bitmaps.Count == 0)
        {
            return Forget(image.Header with { Autoclear = image.Header.Autoclear & ~AutoclearFeatures.Bitmaps });
        }

        int place = Reserve(image);
        byte[] bytes = BitmapDirectory.ToBytes(bitmaps);
        HeaderExtension[] extensions = [.. image.Header.Extensions];
        extensions[place] = new BitmapDirectory(bitmaps.Count, bytes.Length, edit.Add(bytes)).ToExtension();
        return image.Header with { Extensions = extensions, Autoclear = image.Header.Autoclear | AutoclearFeatures.Bitmaps };
    }

    /// <summary>Removes them, with a warning, from an image whose disk is about to change under them.</summary>
    /// <returns>The header, which takes back that they are valid.</returns>
    public static ImageHeader Remove(Qcow2Edit edit, ImageProgress progress)
    {
        IReadOnlyList<PersistentBitmap> bitmaps = edit.Image.ReadBitmaps();
        foreach (PersistentBitmap bitmap in bitmaps)
        {
            Drop(edit, bitmap);
        }

        if (bitmaps.Count > 0)
        {
            progress.Warn($"The persistent bitmaps of {edit.Image.File.Path} are removed, because they would no longer be valid.");
        }

        return Replace(edit, []);
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

    // Makes sure that the first sector has room for the extension. Returns its place among the extensions.
    private static int Reserve(Qcow2File image)
    {
        ImageHeader header = image.Header;
        HeaderExtension room = new BitmapDirectory(0, 0, 0).ToExtension() with { Type = HeaderExtension.End };
        HeaderExtension present = header.Find(HeaderExtension.Bitmaps)
            ?? (header.Extensions is [.., { Type: HeaderExtension.End } last] && last.StoredLength == room.StoredLength ? last : room);
        int place = header.Extensions.ToList().LastIndexOf(present);
        if (place >= 0 && header.HeaderLength + header.Extensions.Take(place + 1).Sum(extension => extension.StoredLength) <= Sector)
        {
            return place;
        }

        HeaderExtension[] others =
            [.. header.Extensions.Where(extension => extension.Type is not (HeaderExtension.End or HeaderExtension.Bitmaps))];
        image.BeginWriting();
        image.ReplaceHeader(header with { BackingFileOffset = 0, Extensions = [.. others, present] });
        return image.Header.Extensions.Count - 1;
    }
}
