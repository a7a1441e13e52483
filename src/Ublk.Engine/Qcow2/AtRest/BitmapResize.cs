using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>Gives persistent bitmaps the length of a disk that gets another size. What the disk gains is entered as changed.</summary>
/// <param name="edit">The change of the image.</param>
/// <param name="size">The new size of the disk in bytes.</param>
internal sealed class BitmapResize(Qcow2Edit edit, long size)
{
    private readonly Qcow2File _image = edit.Image;
    private readonly ClusterLayout _layout = edit.Image.Layout;

    /// <summary>Resizes all bitmaps of the image.</summary>
    /// <returns>The header, still with the former size of the disk.</returns>
    public ImageHeader Run() => Bitmaps.Replace(edit, [.. _image.ReadBitmaps().Select(Resize)]);

    private PersistentBitmap Resize(PersistentBitmap bitmap)
    {
        if (!bitmap.IsConsistent)
        {
            return bitmap;
        }

        ulong[] former;
        try
        {
            former = _image.ReadBitmapTable(bitmap);
        }
        catch (UblkException)
        {
            // One that cannot be used stays so.
            return bitmap with { Flags = bitmap.Flags | BitmapFlags.InUse };
        }

        L1Entry[] table = new L1Entry[PersistentBitmap.ClustersFor(size, bitmap.GranularityBits, _layout)];
        for (int index = 0; index < int.Max(table.Length, former.Length); index++)
        {
            L1Entry entry = index < former.Length ? new L1Entry(former[index]) : default;
            L1Entry next = index < table.Length ? new L1Entry(Resize(entry, index, bitmap.GranularityBits)) : default;
            if (entry.Offset != next.Offset)
            {
                edit.Drop(entry.Offset, entry.Offset == 0 ? 0 : _layout.ClusterSize);
            }

            if (index < table.Length)
            {
                table[index] = next;
            }
        }

        edit.Drop(bitmap.TableOffset, bitmap.TableSize * 8L);
        return bitmap with { TableOffset = edit.Add(table), TableSize = (uint)table.Length };
    }

    // A granule that the disk had in part counts as changed as well; no bit beyond the end of the disk is set.
    private ulong Resize(L1Entry entry, int index, int granularityBits)
    {
        long clusterBits = (long)_layout.ClusterSize * 8;
        long end = PersistentBitmap.BitsFor(size, granularityBits);
        long changed = size > _image.Header.Size ? _image.Header.Size >> granularityBits : end;
        int firstChanged = (int)long.Clamp(changed - (index * clusterBits), 0, clusterBits);
        int firstBeyond = (int)long.Clamp(end - (index * clusterBits), 0, clusterBits);
        byte[] bits = new byte[_layout.ClusterSize];
        _image.ReadBits(entry.Raw, bits);
        byte[] next = [.. bits];
        for (int bit = firstChanged; bit < firstBeyond; bit++)
        {
            next[bit >> 3] |= (byte)(1 << (bit & 7));
        }

        for (int bit = firstBeyond; bit < clusterBits; bit++)
        {
            next[bit >> 3] &= (byte)~(1 << (bit & 7));
        }

        return next.AsSpan().SequenceEqual(bits) ? entry.Raw : (ulong)edit.Add(next);
    }
}
