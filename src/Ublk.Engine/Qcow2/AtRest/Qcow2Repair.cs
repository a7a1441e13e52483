using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>Makes an image's reference counts and flags agree with what it refers to.</summary>
internal static class Qcow2Repair
{
    /// <summary>Repairs what a check found, as far as that loses nothing; entries that point nowhere stay as they are.</summary>
    /// <remarks>
    /// It writes in place only to clusters that belong to tables alone. New tables go past the end of the file, because a cluster without a
    /// reference may be one that a damaged entry lost. For the same reason nothing is freed while there is such an entry.
    /// </remarks>
    /// <returns>A check of the repaired image; what was found, where there was nothing to repair.</returns>
    /// <exception cref="UblkException">
    /// The image cannot be repaired without a loss, or a count is too large for its width: nothing was written. Or the file cannot be
    /// written.
    /// </exception>
    public static Qcow2Check Run(Qcow2File image, Qcow2Check found, ImageProgress progress)
    {
        bool isMarked = (image.Header.Incompatible & (IncompatibleFeatures.Dirty | IncompatibleFeatures.Corrupt)) != 0
            || Bitmaps.Forget(image.Header) != image.Header;
        if (found.Findings is { Corruptions: 0, Leaks: 0 } && !isMarked)
        {
            return found;
        }

        Run(image, found.Walk, found.Findings, progress);
        Qcow2Check left = Qcow2Check.Of(image, progress);
        if (left.Findings.Corruptions == 0)
        {
            image.WriteHeader(image.Header with { Incompatible = image.Header.Incompatible & ~IncompatibleFeatures.Corrupt });
        }

        return left;
    }

    /// <summary>Repairs what a walk found, without a check of counts and flags.</summary>
    /// <param name="image">The image.</param>
    /// <param name="walk">What it refers to; of no use afterwards.</param>
    /// <param name="findings">What was found on the walk.</param>
    /// <param name="progress">Receives the start of the repair.</param>
    public static void Run(Qcow2File image, MetadataWalk walk, CheckFindings findings, ImageProgress progress)
    {
        if (walk.Overlap is { } overlap)
        {
            throw new UblkException(UblkError.InvalidImage,
                $"{image.File.Path} cannot be repaired without a loss, so it is left as it is: {overlap} "
                    + "Attach it with New-UblkDevice -ReadOnly to copy what can be read.");
        }

        // From here on it is done whole: to stop would leave the image as bad as it was, at best.
        progress.Begin($"Repairing {image.File.Path}");
        if (walk.IsRefcountTableLost)
        {
            walk.ForgetRefcounts();
        }

        // A block device has no room past its end.
        walk.Counts.AllocateFrom(image.File.IsBlockDevice ? walk.Counts.End : image.Layout.ClustersFor(image.File.Length));
        RefcountRebuilder writer = new(image, walk.Counts, walk.RefcountBlocks, walk.IsRefcountTableLost);
        image.BeginWriting();
        writer.Write(onlyIncrease: findings.Damage is not null);
        StoredRefcounts stored = new(image, image.ReadRefcountTable());
        CopiedFlags.Compare(image, cluster => stored[cluster], _ => { }, fix: true, ImageProgress.None);
        image.File.Flush();
        IncompatibleFeatures clean = image.Header.Incompatible & ~IncompatibleFeatures.Dirty;
        image.WriteHeader(Bitmaps.Forget(image.Header with { Incompatible = clean }));
    }
}
