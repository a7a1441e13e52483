using Ublk.Files;
using Ublk.Io;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Metadata;

/// <summary>Keeps the enabled persistent bitmaps of an image true while it is written.</summary>
/// <remarks>
/// <para>
/// Their bits are in memory. In the file they are marked as in use from before the first change on until they are stored at the end. No
/// program trusts a bitmap that is so marked, which is why clusters and tables are written in place:
/// </para>
/// <list type="number">
/// <item>the bits, in new clusters where there were none, before the last flush, which makes their reference counts durable;</item>
/// <item>the tables that lead to these clusters;</item>
/// <item>the flags.</item>
/// </list>
/// <para>Each step is durable before the next.</para>
/// </remarks>
internal sealed class BitmapKeeper : IDisposable
{
    private readonly ImageState _image;
    private readonly ClusterLayout _layout;
    private readonly List<Kept> _kept = [];

    // The directory with each bitmap's place in it; null where nothing of it changes.
    private readonly List<(int Place, PersistentBitmap Bitmap)> _marked = [];
    private readonly AlignedBuffer? _directory;
    private readonly long _offset;
    private long _bytes;

    /// <summary>Reads the bitmaps, and notes where they are.</summary>
    /// <param name="image">The image. The places of the bitmaps are added to its metadata.</param>
    /// <param name="tables">Its tables in the file.</param>
    public BitmapKeeper(ImageState image, ImageTables tables)
    {
        _image = image;
        _layout = image.Layout;
        try
        {
            if (tables.ReadBitmapDirectory() is not { } directory)
            {
                return;
            }

            _offset = directory.Offset;
            int place = 0;
            foreach (PersistentBitmap bitmap in tables.ReadBitmaps())
            {
                if (bitmap.IsEnabled)
                {
                    Add(bitmap, place, tables);
                }

                place += bitmap.EntryLength;
            }

            if (_marked.Count > 0)
            {
                _directory = BufferFor(place);
                image.File.Read(_directory.Span, _offset);
            }
        }
        catch (UblkException exception)
        {
            AreLost = true;
            _marked.Clear();
            _kept.Clear();
            Warnings.Add(
                $"{image.File.Path} has persistent bitmaps that cannot be read, so the first write ends them: {exception.Message}");
        }
    }

    /// <summary>The bitmaps that are kept true.</summary>
    public IEnumerable<DirtyBitmap> All => _kept.Select(kept => kept.Bits);

    /// <summary>Whether the image's bitmaps cannot be read, so that a change makes all of them invalid.</summary>
    public bool AreLost { get; }

    /// <summary>Sentences that the user should see, about bitmaps that are not kept.</summary>
    public List<string> Warnings { get; } = [];

    /// <summary>Marks the bitmaps as in use, durably; before the first change.</summary>
    /// <returns>0 or a negative errno.</returns>
    public IoTask<int> BeginAsync()
    {
        foreach ((int place, PersistentBitmap bitmap) in _marked)
        {
            PersistentBitmap.WriteFlags(_directory!.Span[place..], bitmap.Flags | BitmapFlags.InUse);
        }

        return _directory is null ? 0 : WriteDirectoryAsync();
    }

    /// <summary>Writes the bits; no request is left. A flush must follow, and then <see cref="FinishAsync"/>.</summary>
    /// <param name="allocator">Gives clusters to bits that have none.</param>
    public async IoTask<int> StoreAsync(ClusterAllocator allocator)
    {
        // One that finds no room stays marked as in use: no data is lost by that.
        foreach (Kept kept in _kept)
        {
            kept.IsStored = await StoreAsync(kept, allocator) == 0;
        }

        return 0;
    }

    /// <summary>Makes what was stored the bitmaps' content, once it is durable.</summary>
    /// <returns>0 or a negative errno: the bitmaps may stay marked as in use.</returns>
    public async IoTask<int> FinishAsync()
    {
        int result = 0;
        for (int index = 0; index < _kept.Count && result == 0; index++)
        {
            result = await WriteTableAsync(_kept[index]);
        }

        result = result < 0 || _kept.Count == 0 ? result : await _image.File.SyncAsync();
        if (result < 0 || !_kept.Exists(kept => kept.IsStored))
        {
            return result;
        }

        foreach (Kept kept in _kept.Where(kept => kept.IsStored))
        {
            PersistentBitmap.WriteFlags(_directory!.Span[kept.Place..], kept.Entry.Flags);
        }

        return await WriteDirectoryAsync();
    }

    /// <inheritdoc/>
    public void Dispose() => _directory?.Dispose();

    private void Add(PersistentBitmap bitmap, int place, ImageTables tables)
    {
        if (!bitmap.IsConsistent)
        {
            Warnings.Add($"The persistent bitmap '{bitmap.Name}' of {_image.File.Path} was not saved when the image was used last. "
                + "The next incremental backup must be a full one.");
            return;
        }

        _marked.Add((place, bitmap));
        try
        {
            // The table first: it shows that the file has what its header promises.
            ulong[] table = tables.ReadBitmapTable(bitmap);
            _bytes += (long)table.Length << _layout.ClusterBits;
            ImageError.ThrowIf(_bytes > BitmapDirectory.MaxMemory, _image.File.Path,
                $"its bitmaps would take more than {BitmapDirectory.MaxMemory >> 20} MiB of memory");
            Kept kept = new(bitmap, place, new DirtyBitmap(bitmap.Name, _image.Header.Size, bitmap.GranularityBits), table);
            RequireApart(bitmap.TableOffset, bitmap.TableSize * 8L, bitmap);
            for (int index = 0; index < kept.Table.Length; index++)
            {
                Read(kept, index, tables);
            }

            kept.Bits.Trim();
            _kept.Add(kept);
        }
        catch (UblkException exception)
        {
            Warnings.Add($"The persistent bitmap '{bitmap.Name}' ends with the first write: {exception.Message}");
        }
    }

    private void Read(Kept kept, int index, ImageTables tables)
    {
        ulong entry = kept.Table[index];
        if (new L1Entry(entry).Offset is > 0 and var offset)
        {
            RequireApart(offset, _layout.ClusterSize, kept.Entry);
        }

        tables.ReadBits(entry, kept.BitsOf(index, _layout.ClusterSize));
    }

    // They are written in place.
    private void RequireApart(long offset, long length, PersistentBitmap bitmap) => ImageError.ThrowIf(
        !_image.Metadata.Add(new HostRange(offset, _layout.ClustersFor(length))),
        _image.File.Path, $"its bitmap '{bitmap.Name}' is where other metadata is");

    private async IoTask<int> StoreAsync(Kept kept, ClusterAllocator allocator)
    {
        using AlignedBuffer cluster = new(_layout.ClusterSize);
        for (int index = 0; index < kept.Table.Length; index++)
        {
            cluster.Span.Clear();
            kept.BitsOf(index, cluster.Length).CopyTo(cluster.Span);
            long offset = new L1Entry(kept.Table[index]).Offset;
            if (offset == 0 && Same(cluster.Span) is { } entry)
            {
                kept.Table[index] = entry;
                continue;
            }

            offset = offset > 0 ? offset : await allocator.AllocateMetadataAsync();
            if (offset < 0)
            {
                return (int)offset;
            }

            kept.Table[index] = (ulong)offset;
            int result = await _image.File.WriteAsync(cluster.Part(0, cluster.Length), offset);
            if (result < 0)
            {
                return result;
            }
        }

        return 0;
    }

    // The entry that stands for a cluster's content, or null.
    private static ulong? Same(ReadOnlySpan<byte> content) =>
        !content.ContainsAnyExcept((byte)0) ? 0
        : !content.ContainsAnyExcept(byte.MaxValue) ? ImageTables.AllOnes
        : null;

    private async IoTask<int> WriteTableAsync(Kept kept)
    {
        EntryTable table = new(kept.Table, kept.Entry.TableOffset);
        using AlignedBuffer buffer = BufferFor(kept.Table.Length * 8);
        buffer.Span.Clear();
        table.CopyTo(buffer.Span[..(kept.Table.Length * 8)], 0);
        return await _image.File.WriteAsync(buffer.Part(0, buffer.Length), table.Offset);
    }

    // What is written in place: whole sectors, and what direct I/O of the file requires.
    private AlignedBuffer BufferFor(int length)
    {
        int unit = int.Max(512, _image.File.Alignment);
        return new AlignedBuffer((length + unit - 1) / unit * unit);
    }

    private async IoTask<int> WriteDirectoryAsync()
    {
        int result = await _image.File.WriteAsync(_directory!.Part(0, _directory.Length), _offset);
        return result < 0 ? result : await _image.File.SyncAsync();
    }

    // A bitmap with its place in the directory, and the table that its bits will have.
    private sealed record Kept(PersistentBitmap Entry, int Place, DirtyBitmap Bits, ulong[] Table)
    {
        public bool IsStored { get; set; }

        public Span<byte> BitsOf(int index, int clusterSize)
        {
            Span<byte> all = Bits.Bytes;
            int start = index * clusterSize;
            return all.Slice(start, int.Min(clusterSize, all.Length - start));
        }
    }
}
