using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>Lets go of clusters that hold nothing but zeroes, and makes holes of those that belong to nothing.</summary>
internal sealed class Qcow2Optimize(Qcow2Edit edit)
{
    private readonly Qcow2File _image = edit.Image;
    private readonly ClusterLayout _layout = edit.Image.Layout;

    /// <summary>Runs the operation.</summary>
    /// <exception cref="UblkException">The image is encrypted, or cannot be read or written.</exception>
    public void Run(ImageProgress progress)
    {
        // What is zero in the file is not zero on the disk then.
        HeaderRules.RefuseEncryption(_image.Header, _image.File.Path);
        List<(long Offset, L2Words Table)> changed = [];

        // Version 2 has no zero clusters, and an unallocated one shows the backing file.
        bool canForget = !_image.HasDataFile && (_image.Header.BackingFile is null || _image.Header.Version >= 3);
        progress.Begin($"Optimizing {_image.File.Path}", _image.Header.Size);
        foreach (L1Entry entry in _image.ReadL1())
        {
            if (entry.Offset == 0 || !entry.IsCopied || !canForget)
            {
                progress.Advance(_layout.L2Coverage);
                continue;
            }

            L2Words table = _image.ReadL2(entry.Offset);
            if (ForgetZeroes(table, progress))
            {
                changed.Add((entry.Offset, table));
            }
        }

        edit.Commit(_image.Header, () =>
        {
            foreach ((long offset, L2Words table) in changed)
            {
                _image.File.Write(table.Bytes, offset);
            }
        });
        PunchFreeClusters();
    }

    // Of clusters that are the disk's alone.
    private bool ForgetZeroes(L2Words table, ImageProgress progress)
    {
        bool isChanged = false;
        byte[] cluster = new byte[_layout.ClusterSize];
        for (int index = 0; index < _layout.L2Entries; index++)
        {
            progress.Advance(_layout.ClusterSize);
            L2Entry entry = table[index];
            ExtentKind kind = entry.KindIn(_layout);
            if (!entry.IsCopied || kind is not (ExtentKind.Data or ExtentKind.ZeroAllocated)
                || (_layout.HasExtendedL2 && entry.Subclusters is not (L2Entry.AllAllocated or L2Entry.AllZero)))
            {
                continue;
            }

            if (kind == ExtentKind.Data)
            {
                _image.File.Read(cluster, entry.Offset);
                if (cluster.AsSpan().ContainsAnyExcept((byte)0))
                {
                    continue;
                }
            }

            table[index] = _image.Header.BackingFile is null ? default : L2Entry.ZeroPlain(_layout.HasExtendedL2);
            edit.Drop(entry.Offset, _layout.ClusterSize);
            isChanged = true;
        }

        return isChanged;
    }

    private void PunchFreeClusters()
    {
        long end = edit.Counts.End;
        for (long cluster = 0; cluster < end;)
        {
            long first = cluster;
            while (edit.Counts[cluster] == 0)
            {
                cluster++;
            }

            if (!_image.File.TryPunchHole(first << _layout.ClusterBits, (cluster - first) << _layout.ClusterBits))
            {
                break;
            }

            cluster += cluster == first ? 1 : 0;
        }

        _image.File.SetLength(end << _layout.ClusterBits);
        _image.File.Flush();
    }
}
