using Ublk.Files;
using Ublk.Qcow2.Compression;
using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>Gives a qcow2 image's disk another size.</summary>
/// <param name="edit">The change of the image.</param>
/// <param name="size">The size in bytes.</param>
/// <param name="openForWriting">Opens the file that has its data.</param>
/// <param name="sizeOf">The size of the disk in its backing file, in bytes.</param>
internal sealed class Qcow2Resize(Qcow2Edit edit, long size, Func<string, DiskFile> openForWriting, Func<BackingName, long> sizeOf)
{
    private const int PieceSize = 1 << 20;

    private readonly Qcow2File _image = edit.Image;
    private readonly ClusterLayout _layout = edit.Image.Layout;

    /// <summary>Runs the operation.</summary>
    /// <exception cref="UblkException">The image cannot have this size.</exception>
    public void Run(ImageProgress progress)
    {
        ImageHeader header = _image.Header;
        string path = _image.File.Path;
        if (_layout.L1EntriesFor(size) > HeaderRules.MaxL1Bytes / 8)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"A disk of {size} bytes is too large for the clusters of {path}, of {_layout.ClusterSize} bytes. Convert it into an image "
                    + "with larger ones.");
        }

        if (header.SnapshotCount > 0 && (header.Version == 2 || size < header.Size))
        {
            throw ImageError.NotSupported(path, size < header.Size
                ? "has snapshots, so its disk cannot shrink. Remove them first."
                : "has version 2 and snapshots, which do not record their own size. Remove them first.");
        }

        header = new BitmapResize(edit, size).Run();
        if (size > _image.Header.Size)
        {
            Grow(header);
        }
        else
        {
            Shrink(header);
            ResizeDataFile();
        }
    }

    // The disk may have been longer once, or have had VM state beyond its end: the grown part must not expose any of that.
    private void Grow(ImageHeader header)
    {
        RequireNothingBehind(header);
        L1Entry[] l1 = _image.ReadL1();
        List<L2Change> changed = DropBeyond(l1, header.Size);
        L2Change? last = ReplaceTail(l1, changed);
        ResizeDataFile();
        foreach (L2Change change in last is null ? changed : [.. changed.Where(change => change.Index != last.Index), last])
        {
            edit.Drop(change.Offset, _layout.ClusterSize);
            l1[change.Index] = L1Entry.At(edit.Add(change.Table.Bytes));
        }

        int entries = (int)long.Max(l1.Length, _layout.L1EntriesFor(size));
        if (entries == l1.Length && l1.AsSpan().SequenceEqual(_image.ReadL1()))
        {
            edit.Commit(header with { Size = size });
            return;
        }

        Array.Resize(ref l1, entries);
        edit.Drop(header.L1Offset, header.L1Size * 8L);
        edit.Commit(header with { Size = size, L1Offset = edit.Add(l1), L1Size = l1.Length });
    }

    // Makes the last cluster zero from the disk's end on: in place if it is the disk's alone, otherwise in a copy.
    private L2Change? ReplaceTail(L1Entry[] l1, List<L2Change> changed)
    {
        long end = _image.Header.Size;
        int index = _layout.L1Index(end);
        int start = (int)_layout.OffsetInCluster(end);
        long offset = start == 0 ? 0 : l1[index].Offset;
        if (offset == 0)
        {
            return null;
        }

        L2Words table = changed.Find(change => change.Index == index)?.Table ?? _image.ReadL2(offset);
        L2Entry entry = table[_layout.L2Index(end)];
        if (entry.KindIn(_layout) is not (ExtentKind.Data or ExtentKind.Compressed)
            || !(entry.HasHostOffset(_layout) || entry.IsCompressed))
        {
            return null;
        }

        if (_image.Header.Encryption != EncryptionMethod.None)
        {
            throw ImageError.NotSupported(_image.File.Path,
                "is encrypted, and its disk ends inside a cluster: the rest of that may hold old data, which cannot be made zero without "
                + "the key. Make a larger image, attach both with New-UblkDevice -KeyFile, and copy the disk.");
        }

        if (_image.HasDataFile)
        {
            return null;
        }

        if (entry is { IsCompressed: false, IsCopied: true })
        {
            edit.Overwrite(new byte[_layout.ClusterSize - start], entry.Offset + start);
            return null;
        }

        byte[] cluster = new byte[_layout.ClusterSize];
        ReadCluster(entry, cluster);
        cluster.AsSpan(start).Clear();
        Drop(entry);
        ulong subclusters = entry.IsCompressed && _layout.HasExtendedL2 ? L2Entry.AllAllocated : entry.Subclusters;
        table[_layout.L2Index(end)] = L2Entry.At(edit.Add(cluster), subclusters);
        return new L2Change(index, offset, table);
    }

    private void ReadCluster(L2Entry entry, byte[] cluster)
    {
        if (!entry.IsCompressed)
        {
            _image.File.Read(cluster, entry.Offset);
            return;
        }

        byte[] compressed = new byte[entry.CompressedLength(_layout)];
        _image.File.Read(compressed, entry.CompressedOffset(_layout));
        if (!ClusterCodec.Of(_image.Header.Compression).TryDecompress(compressed, cluster))
        {
            throw ImageError.Invalid(_image.File.Path, "the last cluster of its disk cannot be decompressed");
        }
    }

    // What a longer backing file has beyond the end would come to light.
    private void RequireNothingBehind(ImageHeader header)
    {
        if (header.BackingFile is not { } name)
        {
            return;
        }

        string path = _image.File.Path;
        if (header.BackingFormat is null)
        {
            throw ImageError.NotSupported(path,
                $"does not record the format of its backing file {name}, so it is unknown which data would become visible.");
        }

        if (sizeOf(BackingName.Of(path, header, null)) > header.Size)
        {
            throw ImageError.NotSupported(path,
                $"is smaller than its backing file {name}, the end of which would become visible. Convert it into an image without a "
                    + "backing file first.");
        }
    }

    private void Shrink(ImageHeader header)
    {
        L1Entry[] l1 = _image.ReadL1();
        List<L2Change> changed = DropBeyond(l1, size);
        edit.Commit(header with { Size = size }, () =>
        {
            _image.WriteTable<L1Entry>(header.L1Offset, l1);
            foreach (L2Change change in changed)
            {
                _image.File.Write(change.Table.Bytes, change.Offset);
            }
        });
        _image.File.SetLength(long.Min(_image.File.Length, edit.Counts.End << _layout.ClusterBits));
    }

    // Takes what is behind an end out of the L1 table, and out of the L2 table that has the end.
    private List<L2Change> DropBeyond(L1Entry[] l1, long end)
    {
        List<L2Change> changed = [];
        for (int index = (int)(end / _layout.L2Coverage); index < l1.Length; index++)
        {
            long offset = l1[index].Offset;
            if (offset == 0)
            {
                continue;
            }

            L2Words table = _image.ReadL2(offset);
            int first = (int)long.Max(0, _layout.ClustersFor(end - (index * _layout.L2Coverage)));
            bool isChanged = false;
            for (int entry = first; entry < _layout.L2Entries; entry++)
            {
                isChanged |= table[entry] != default;
                Drop(table[entry]);
                table[entry] = default;
            }

            if (first == 0)
            {
                edit.Drop(offset, _layout.ClusterSize);
                l1[index] = default;
            }
            else if (isChanged)
            {
                changed.Add(new L2Change(index, offset, table));
            }
        }

        return changed;
    }

    private void Drop(L2Entry entry)
    {
        (long offset, long length) = entry.ReferenceIn(_layout);
        edit.Drop(offset, length);
    }

    private void ResizeDataFile()
    {
        if (!_image.HasDataFile || _image.Header.DataFile is null)
        {
            return;
        }

        using DiskFile data = BackingChain.OpenData(_image.File, _image.Header, isWritten: true, openForWriting);
        long oldLength = DataLength(_image.Header.Size);
        long newLength = DataLength(size);
        if (newLength > oldLength && data.Length > oldLength)
        {
            ClearDataFile(data, oldLength, newLength);
        }

        data.SetLength(newLength);
        data.Flush();
    }

    private long DataLength(long diskSize) =>
        _image.Header.Encryption == EncryptionMethod.None ? diskSize : _layout.ClustersFor(diskSize) << _layout.ClusterBits;

    // What the data file has beyond the disk's end belongs to no cluster. A raw one exposes all of it, another only the rest of the last
    // cluster.
    private void ClearDataFile(DiskFile data, long oldLength, long newLength)
    {
        if (!data.IsBlockDevice)
        {
            data.SetLength(oldLength);
            return;
        }

        bool isRaw = _image.Header.Autoclear.HasFlag(AutoclearFeatures.RawExternalData);
        long end = long.Min(data.Length, isRaw ? newLength : long.Min(newLength, _layout.ClustersFor(oldLength) << _layout.ClusterBits));
        byte[] zeroes = new byte[PieceSize];
        for (long position = oldLength; position < end; position += PieceSize)
        {
            data.Write(zeroes.AsSpan(0, (int)long.Min(PieceSize, end - position)), position);
        }
    }

    /// <summary>An L2 table that is to be another: its index in the L1 table, where it is in the file, and what it is to be.</summary>
    private sealed record L2Change(int Index, long Offset, L2Words Table);
}
