using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.Metadata;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Data;

/// <summary>What becomes of clusters that are to read as zeroes.</summary>
internal enum ZeroKind
{
    /// <summary>They are given up, and read as zeroes if that costs nothing.</summary>
    Discard,

    /// <summary>They read as zeroes and are given up.</summary>
    Free,

    /// <summary>They read as zeroes and keep the place they have.</summary>
    Keep,
}

/// <summary>Makes parts of the disk read as zeroes by their L2 entries, and by written zeroes where entries cannot express it.</summary>
internal sealed class ZeroWriter(
    ImageState image, ClusterMap map, L2Cache cache, TableWriter tables, ImageReader reader, ImageWriter writer, MetadataFlusher flusher,
    DiskLayer? backing)
{
    private readonly ClusterLayout _layout = image.Layout;

    /// <summary>Zeroes, or discards, a range within the disk.</summary>
    /// <returns>0 or a negative errno.</returns>
    public async IoTask<int> ZeroAsync(long offset, long length, ZeroKind kind)
    {
        int unit = _layout.SubclusterSize;
        long end = offset + length;
        long bodyStart = long.Min((offset + unit - 1) / unit * unit, end);

        // The disk's last cluster is whole as far as there is a disk.
        long bodyEnd = end >= image.Header.Size ? end : long.Max(end / unit * unit, bodyStart);
        int result = await WriteZeroesAsync(offset, bodyStart - offset, kind);
        result = result < 0 ? result : await WriteZeroesAsync(bodyEnd, end - bodyEnd, kind);
        return result < 0 ? result : await ZeroUnitsAsync(bodyStart, bodyEnd, kind);
    }

    private async IoTask<int> ZeroUnitsAsync(long offset, long end, ZeroKind kind)
    {
        int result = 0;
        while (offset < end && result == 0)
        {
            // Up to the end of the L2 table.
            long stop = long.Min(end, (offset / _layout.L2Coverage * _layout.L2Coverage) + _layout.L2Coverage);
            bool hasTable = cache.L1Of(_layout.L1Index(offset)).Offset != 0;
            if (hasTable || (kind != ZeroKind.Discard && !reader.ReadsAsZeroes(offset, stop - offset)))
            {
                // Version 2 has no zero clusters: it can but give clusters up, and then a backing file would show through.
                bool hasEntry = image.Header.Version >= 3
                    || (kind != ZeroKind.Keep && (backing is null || backing.ReadsAsZeroes(offset, stop - offset)));
                result = hasEntry ? await ZeroTableAsync(offset, stop, kind) : await WriteZeroesAsync(offset, stop - offset, kind);
            }

            offset = stop;
        }

        return result;
    }

    private async IoTask<int> ZeroTableAsync(long offset, long end, ZeroKind kind)
    {
        if (image.HasDataFile)
        {
            int punched = kind == ZeroKind.Keep ? -Libc.EOPNOTSUPP
                : await image.DataFile.AllocateAsync(Libc.FALLOC_FL_PUNCH_HOLE | Libc.FALLOC_FL_KEEP_SIZE, offset, end - offset);
            if (punched < 0 && image.Header.Autoclear.HasFlag(AutoclearFeatures.RawExternalData))
            {
                return await WriteZeroesAsync(offset, end - offset, kind);
            }
        }

        int result = 0;
        while (offset < end && result == 0)
        {
            if (!TryChange(ref offset, end, kind, out IoTask<int> wait))
            {
                result = int.Min(await wait, 0);
            }
            else if (offset < end)
            {
                // A part of a compressed cluster has no entry of its own.
                long rest = long.Min(end, _layout.ClusterStart(offset) + _layout.ClusterSize) - offset;
                result = await WriteZeroesAsync(offset, rest, kind);
                offset += rest;
            }
        }

        return result;
    }

    // Changes entries up to the first that cannot express the result.
    private bool TryChange(ref long offset, long end, ZeroKind kind, out IoTask<int> wait)
    {
        wait = default;
        bool isFull = false;
        lock (image.Lock)
        {
            if (tables.Find(offset) is { } table)
            {
                long first = offset >> _layout.ClusterBits;
                long last = (end - 1) >> _layout.ClusterBits;
                if (image.Allocating.FindOverlap(first, last - first + 1) is { } range)
                {
                    wait = range.WaitAsync();
                    return false;
                }

                for (long cluster = first; cluster <= last; cluster++)
                {
                    int index = (int)(cluster & (_layout.L2Entries - 1));
                    L2Entry old = table.Read(index);
                    long start = cluster << _layout.ClusterBits;
                    uint mask = _layout.HasExtendedL2 ? _layout.SubclustersOf(offset - start, end - start) : uint.MaxValue;
                    if (Zeroed(old, mask, kind) is not { } zeroed)
                    {
                        offset = long.Max(start, offset);
                        return true;
                    }

                    if (zeroed != old)
                    {
                        if (image.Journal?.HasRoom(1) == false)
                        {
                            offset = long.Max(start, offset);
                            isFull = true;
                            break;
                        }

                        tables.Change(table, index, zeroed);
                    }
                }

                if (!isFull)
                {
                    offset = end;
                    return true;
                }
            }
        }

        wait = isFull ? flusher.FlushAsync() : tables.PrepareAsync(offset);
        return false;
    }

    // The entry with some subclusters zeroed; null where an entry cannot express that.
    private L2Entry? Zeroed(L2Entry old, uint mask, ZeroKind kind)
    {
        if (mask != uint.MaxValue)
        {
            return old.IsCompressed ? null : old with
            {
                Subclusters = ((ulong)(old.ZeroSubclusters | mask) << 32) | (old.AllocatedSubclusters & ~mask),
            };
        }

        if (kind == ZeroKind.Keep && map.IsWritableInPlace(old))
        {
            return _layout.HasExtendedL2 ? old with { Subclusters = L2Entry.AllZero } : old.WithZeroBit();
        }

        return image.Header.Version < 3 || (kind == ZeroKind.Discard && (backing is null || old == default))
            ? default(L2Entry)
            : L2Entry.ZeroPlain(_layout.HasExtendedL2);
    }

    // A discard leaves what an entry cannot express as it is.
    private async IoTask<int> WriteZeroesAsync(long offset, long length, ZeroKind kind)
    {
        int result = 0;
        while (length > 0 && result == 0 && kind != ZeroKind.Discard)
        {
            Extent extent = map.Find(offset, (int)long.Min(length, image.Chunks.BufferLength));
            if (extent.Kind == ExtentKind.NotCached)
            {
                result = await cache.LoadAsync(_layout.L1Index(offset));
                continue;
            }

            if (!reader.ReadsAsZeroes(offset, extent.Length))
            {
                using RentedBuffer zeroes = image.Chunks.Lend();
                zeroes.Span[..extent.Length].Clear();
                result = await writer.WriteAsync(zeroes.Part(0, extent.Length), offset, durable: false);
            }

            offset += extent.Length;
            length -= extent.Length;
        }

        return result;
    }
}
