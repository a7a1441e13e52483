using System.Numerics;
using Ublk.Files;
using Ublk.Qcow2.Format;

namespace Ublk.Exports.Server;

/// <summary>Which ranges a persistent bitmap of a qcow2 image has as changed: the context qemu:dirty-bitmap:NAME.</summary>
internal sealed class BitmapContext : MetadataContext
{
    private const uint Dirty = 1;

    private readonly DiskFile _file;
    private readonly ulong[] _table;
    private readonly int _clusterSize;
    private readonly int _granularityBits;

    /// <summary>Reads a bitmap's table.</summary>
    /// <param name="file">The image's file; owned by this object.</param>
    /// <param name="bitmap">The bitmap.</param>
    /// <exception cref="UblkException">The table is damaged.</exception>
    public BitmapContext(DiskFile file, PersistentBitmap bitmap)
        : base($"qemu:dirty-bitmap:{bitmap.Name}")
    {
        ImageTables tables = new(file, ImageTables.ReadHeader(file));
        _file = file;
        _table = tables.ReadBitmapTable(bitmap);
        _clusterSize = tables.Layout.ClusterSize;
        _granularityBits = bitmap.GranularityBits;
    }

    // Bytes of the disk that a cluster of the bitmap has bits for.
    private long Coverage => (long)_clusterSize * 8 << _granularityBits;

    /// <inheritdoc/>
    public override IEnumerable<MetadataExtent> Describe(long start, long end)
    {
        long coverage = Coverage;
        while (start < end)
        {
            long index = start / coverage;
            long clusterEnd = long.Min(end, (index + 1) * coverage);
            ulong entry = _table[index];
            if (new L1Entry(entry).Offset is > 0 and var offset)
            {
                byte[] bits = _file.ReadBytes(offset, _clusterSize);
                while (start < clusterEnd)
                {
                    (long length, bool isSet) = FindRun(bits, start - (index * coverage));
                    length = long.Min(length, clusterEnd - start);
                    yield return new MetadataExtent(length, isSet ? Dirty : 0);
                    start += length;
                }
            }
            else
            {
                yield return new MetadataExtent(clusterEnd - start, entry == ImageTables.AllOnes ? Dirty : 0);
                start = clusterEnd;
            }
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _file.Dispose();
        base.Dispose(disposing);
    }

    // How far the bits are as the first one, which is the lowest of its byte.
    private (long Length, bool IsSet) FindRun(byte[] bits, long offset)
    {
        long first = offset >> _granularityBits;
        bool isSet = (bits[first >> 3] & (1 << (int)(first & 7))) != 0;
        long bit = first + 1;
        byte same = isSet ? (byte)0xFF : (byte)0;
        long count = (long)bits.Length * 8;
        while (bit < count)
        {
            if ((bit & 7) == 0)
            {
                int skipped = bits.AsSpan((int)(bit >> 3)).IndexOfAnyExcept(same);
                bit = skipped < 0 ? count : bit + (skipped * 8L);
                if (bit == count)
                {
                    break;
                }
            }

            int others = (bits[bit >> 3] ^ same) >> (int)(bit & 7);
            if (others != 0)
            {
                bit += BitOperations.TrailingZeroCount(others);
                break;
            }

            bit = (bit | 7) + 1;
        }

        return ((bit << _granularityBits) - offset, isSet);
    }
}
