using Ublk.Files;
using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>
/// A change of an image's tables as a whole: a write of the header makes it, so a crash leaves the image as it was before or after.
/// </summary>
/// <remarks>
/// What is new is written to free clusters, and counted, first; what is not needed any more is let go of last. Meanwhile the image is
/// marked dirty where its version has that mark, so that the next opener after a crash rebuilds its reference counts. The image is disposed
/// of with this.
/// </remarks>
internal sealed class Qcow2Edit(Qcow2File image, MetadataWalk walk, ImageProgress progress) : IDisposable
{
    private readonly RefcountRebuilder _writer = new(image, walk.Counts, walk.RefcountBlocks, walk.IsRefcountTableLost);
    private readonly List<(long Offset, long Length)> _unneeded = [];
    private bool _isUnderWay;

    /// <summary>The image.</summary>
    public Qcow2File Image => image;

    /// <summary>How often each cluster is referred to.</summary>
    public CountedReferences Counts => walk.Counts;

    /// <summary>Makes sure that an image is sound.</summary>
    /// <param name="file">The image, locked by the caller; disposed of with this, and if this fails.</param>
    /// <param name="progress">Receives the progress.</param>
    /// <exception cref="UblkException">It is no image, or corrupt.</exception>
    public static Qcow2Edit Open(DiskFile file, ImageProgress progress)
    {
        Qcow2File image = Qcow2File.Read(file);
        try
        {
            Qcow2Check check = Qcow2Check.Of(image, progress);
            if (image.Header.Incompatible.HasFlag(IncompatibleFeatures.Dirty))
            {
                Qcow2Repair.Run(image, check.Walk, check.Findings, progress);
                check = Qcow2Check.Of(image, progress);
            }

            if (check.Findings.Damage is { } damage)
            {
                throw new UblkException(UblkError.InvalidImage,
                    $"{file.Path} is corrupt beyond repair and was not changed: {damage} "
                        + "Attach it with New-UblkDevice -ReadOnly to copy what can be read.");
            }

            if (check.Findings.Corruptions > 0 || image.Header.Incompatible.HasFlag(IncompatibleFeatures.Corrupt))
            {
                throw new UblkException(UblkError.InvalidImage,
                    $"{file.Path} is corrupt, so it is left as it is. Test-UblkImage shows the findings. Repair it: "
                        + $"Repair-UblkImage '{file.Path}'");
            }

            return new Qcow2Edit(image, check.Walk, progress);
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    /// <summary>Writes something new.</summary>
    /// <returns>Where it is in the file.</returns>
    public long Add(ReadOnlySpan<byte> content)
    {
        Begin();
        long clusters = image.Layout.ClustersFor(content.Length);
        if (clusters == 0)
        {
            return 0;
        }

        long offset = Counts.Allocate(clusters) << image.Layout.ClusterBits;
        byte[] whole = new byte[clusters << image.Layout.ClusterBits];
        content.CopyTo(whole);
        image.File.Write(whole, offset);
        return offset;
    }

    /// <summary>Writes a new table.</summary>
    /// <returns>Where it is in the file.</returns>
    public long Add(L1Entry[] table)
    {
        long offset = Add(new byte[table.Length * sizeof(ulong)]);
        image.WriteTable<L1Entry>(offset, table);
        return offset;
    }

    /// <summary>Writes over something that no disk shows.</summary>
    public void Overwrite(ReadOnlySpan<byte> content, long offset)
    {
        Begin();
        image.File.Write(content, offset);
    }

    /// <summary>Counts one reference more to what is there.</summary>
    public void Refer(long offset, long length) => Counts.Add(image.Layout, offset, length, 1);

    /// <summary>Lets something go once the change is made.</summary>
    public void Drop(long offset, long length)
    {
        if (length > 0)
        {
            _unneeded.Add((offset, length));
        }
    }

    /// <summary>Makes the change.</summary>
    /// <param name="next">The header that makes it.</param>
    /// <param name="afterwards">What is to be written once it is made, and before anything is let go of.</param>
    /// <exception cref="UblkException">The file cannot be written.</exception>
    public void Commit(ImageHeader next, Action? afterwards = null)
    {
        Begin();
        _writer.Write(onlyIncrease: true);
        FixFlags();
        image.WriteHeader(next with
        {
            Incompatible = image.Header.Incompatible,
            RefcountTableOffset = image.Header.RefcountTableOffset,
            RefcountTableClusters = image.Header.RefcountTableClusters,
        });
        afterwards?.Invoke();
        image.File.Flush();
        foreach ((long offset, long length) in _unneeded)
        {
            Counts.Add(image.Layout, offset, length, -1);
        }

        _writer.Write(onlyIncrease: false);
        FixFlags();
        Mark(dirty: false);
        _isUnderWay = false;
    }

    /// <summary>Gives the image another table of snapshots, and makes the change.</summary>
    public void Commit(IReadOnlyList<Snapshot> snapshots)
    {
        Drop(image.Header.SnapshotsOffset, image.SnapshotTableLength);
        long place = Add(SnapshotTable.ToBytes(snapshots));
        Commit(image.Header with { SnapshotCount = snapshots.Count, SnapshotsOffset = place });
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            // It failed on the way: what was counted for it is given back. Not by what may never have reached the disk: who opens the
            // image next sees what did.
            if (_isUnderWay && !image.File.HasLostWrites)
            {
                CheckFindings findings = new();
                Qcow2Repair.Run(Image, MetadataWalk.Of(Image, findings, ImageProgress.None), findings, ImageProgress.None);
            }
        }
        catch (UblkException)
        {
            // The image is still marked dirty, or leaks.
        }
        finally
        {
            image.Dispose();
        }
    }

    private void Begin()
    {
        if (!_isUnderWay)
        {
            // Until now it may be stopped; from here on it is done whole.
            progress.Begin($"Writing {image.File.Path}");
            image.BeginWriting();
            Mark(dirty: true);
            _isUnderWay = true;
        }
    }

    private void Mark(bool dirty)
    {
        if (image.Header.Version >= 3)
        {
            IncompatibleFeatures others = image.Header.Incompatible & ~IncompatibleFeatures.Dirty;
            image.WriteHeader(image.Header with { Incompatible = dirty ? others | IncompatibleFeatures.Dirty : others });
        }
    }

    private void FixFlags()
    {
        CopiedFlags.Compare(Image, cluster => Counts[cluster], _ => { }, fix: true, ImageProgress.None);
        image.File.Flush();
    }
}
