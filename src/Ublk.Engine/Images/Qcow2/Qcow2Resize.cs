using Ublk.Images.Content;
using Ublk.Targets.Qcow2;
using Ublk.Targets.Qcow2.Format;

namespace Ublk.Images.Qcow2;

/// <summary>Gives a qcow2 image's disk another size.</summary>
/// <param name="edit">The change of the image.</param>
/// <param name="size">The size in bytes.</param>
/// <param name="openForWriting">Opens the file that has its data.</param>
internal sealed class Qcow2Resize(Qcow2Edit edit, long size, Func<string, DiskFile> openForWriting)
{
    private readonly Qcow2File _image = edit.Image;
    private readonly ClusterLayout _layout = edit.Image.Layout;

    /// <summary>Does it.</summary>
    /// <exception cref="UblkException">The image cannot have this size.</exception>
    public void Run(ImageProgress progress)
    {
        ImageHeader header = _image.Header;
        string path = _image.File.Path;
        if (_layout.L1EntriesFor(size) > HeaderRules.MaxL1Bytes / 8)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"A disk of {size} bytes is too large for the clusters of {path}, of {_layout.ClusterSize} bytes. Convert it into an image with larger ones.");
        }

        if (header.SnapshotCount > 0 && (header.Version == 2 || size < header.Size))
        {
            throw ImageError.NotSupported(path, size < header.Size
                ? "has snapshots, so its disk cannot lose its end. Remove them first."
                : "is of version 2 and has snapshots, which then know no size of their own. Remove them first.");
        }

        header = Bitmaps.Remove(edit, header, progress);
        if (size > _image.Header.Size)
        {
            ResizeDataFile();
            Grow(header);
        }
        else
        {
            Shrink(header);
            ResizeDataFile();
        }
    }

    private void Grow(ImageHeader header)
    {
        RequireNothingBehind(header);
        ulong[] l1 = _image.ReadL1();
        ClearTail(l1);
        long entries = _layout.L1EntriesFor(size);
        if (entries <= l1.Length)
        {
            edit.Commit(header with { Size = size });
            return;
        }

        Array.Resize(ref l1, (int)entries);
        edit.Drop(header.L1Offset, header.L1Size * 8L);
        edit.Commit(header with { Size = size, L1Offset = edit.Add(l1), L1Size = l1.Length });
    }

    // The disk was longer once: what its last cluster has from then would come to light.
    private void ClearTail(ulong[] l1)
    {
        long end = _image.Header.Size;
        int index = _layout.L1Index(end);
        if (_layout.OffsetInCluster(end) == 0 || _image.HasDataFile || _image.Header.Encryption != EncryptionMethod.None || new L1Entry(l1[index]).Offset == 0)
        {
            return;
        }

        L2Entry entry = _image.ReadL2(new L1Entry(l1[index]).Offset)[_layout.L2Index(end)];
        if (entry is { IsCompressed: false, IsCopied: true } && entry.Offset != 0)
        {
            int start = (int)_layout.OffsetInCluster(end);
            _image.File.Write(new byte[_layout.ClusterSize - start], entry.Offset + start);
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
        ImageFormat format = header.BackingFormat is { } known
            ? ImageChain.ParseFormat(known, path)
            : throw ImageError.NotSupported(path, $"does not tell the format of its backing file {name}, so it cannot be said what would come to light.");
        using ImageContent backing = ImageChain.Open(ImageChain.Resolve(path, name), format, null, DiskFile.Open);
        if (backing.Size > header.Size)
        {
            throw ImageError.NotSupported(path,
                $"is smaller than its backing file {name}, the end of which would come to light. Convert it into an image without a backing file first.");
        }
    }

    private void Shrink(ImageHeader header)
    {
        ulong[] l1 = _image.ReadL1();
        List<(long Offset, L2Words Table)> changed = [];
        for (int index = (int)(size / _layout.L2Coverage); index < l1.Length; index++)
        {
            long offset = new L1Entry(l1[index]).Offset;
            if (offset == 0)
            {
                continue;
            }

            L2Words table = _image.ReadL2(offset);
            int first = (int)long.Max(0, _layout.ClustersFor(size - (index * _layout.L2Coverage)));
            DropEntries(table, first);
            if (first == 0)
            {
                edit.Drop(offset, _layout.ClusterSize);
                l1[index] = 0;
            }
            else
            {
                changed.Add((offset, table));
            }
        }

        edit.Commit(header with { Size = size }, () =>
        {
            _image.WriteTable(header.L1Offset, l1);
            foreach ((long offset, L2Words table) in changed)
            {
                _image.WriteTable(offset, table.Words);
            }
        });
        _image.File.SetLength(long.Min(_image.File.Length, edit.Counts.End << _layout.ClusterBits));
    }

    private void DropEntries(L2Words table, int first)
    {
        for (int index = first; index < _layout.L2Entries; index++)
        {
            L2Entry entry = table[index];
            if (entry.IsCompressed)
            {
                edit.Drop(entry.CompressedOffset(_layout), entry.CompressedLength(_layout));
            }
            else if (entry.Offset != 0 && !_image.HasDataFile)
            {
                edit.Drop(entry.Offset, _layout.ClusterSize);
            }

            table[index] = default;
        }
    }

    private void ResizeDataFile()
    {
        if (_image.HasDataFile && _image.Header.DataFile is { } name)
        {
            using DiskFile data = openForWriting(ImageChain.Resolve(_image.File.Path, name));
            ImageReference.Check(_image.File.Path, _image.File.Handle, data.Path, data.Handle, isWritten: true);
            data.SetLength(_image.Header.Encryption == EncryptionMethod.None ? size : _layout.ClustersFor(size) << _layout.ClusterBits);
            data.Flush();
        }
    }
}
