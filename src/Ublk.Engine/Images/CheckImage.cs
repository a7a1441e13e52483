using Ublk.Files;
using Ublk.Qcow2.AtRest;
using Ublk.Qcow2.Format;

namespace Ublk.Images;

/// <summary>Checks an image for contradictions and for room that is lost, and repairs it if that is wanted.</summary>
public sealed record CheckImage : ImageOperation
{
    /// <summary>Whether to repair what is found.</summary>
    public bool Repair { get; init; }

    /// <inheritdoc/>
    internal override ImageCheckResult Run(ImageProgress progress)
    {
        using Qcow2File image = Qcow2File.Read(Repair ? OpenForWriting(Path) : DiskFile.OpenForReading(Path));
        Qcow2Check found = Qcow2Check.Of(image, progress);
        bool isMarked = (image.Header.Incompatible & (IncompatibleFeatures.Dirty | IncompatibleFeatures.Corrupt)) != 0
            || Bitmaps.Forget(image.Header) != image.Header;
        if (!Repair || (found.Findings is { Corruptions: 0, Leaks: 0 } && !isMarked))
        {
            return Describe(image, found);
        }

        Qcow2Repair.Run(image, found.Walk, found.Findings, progress);
        Qcow2Check left = Qcow2Check.Of(image, progress);
        if (left.Findings.Corruptions == 0)
        {
            image.WriteHeader(image.Header with { Incompatible = image.Header.Incompatible & ~IncompatibleFeatures.Corrupt });
            image.File.Flush();
        }

        return Describe(image, left) with
        {
            CorruptionsFixed = long.Max(0, found.Findings.Corruptions - left.Findings.Corruptions),
            LeaksFixed = long.Max(0, found.Findings.Leaks - left.Findings.Leaks),
            Findings = [.. found.Findings.Texts],
        };
    }

    private ImageCheckResult Describe(Qcow2File image, Qcow2Check check) => new()
    {
        Path = Path,
        Format = ImageFormat.Qcow2,
        Corruptions = check.Findings.Corruptions,
        Leaks = check.Findings.Leaks,
        TotalClusters = image.Layout.ClustersFor(image.Header.Size),
        AllocatedClusters = check.Walk.AllocatedClusters,
        CompressedClusters = check.Walk.CompressedClusters,
        FragmentedClusters = check.Walk.FragmentedClusters,
        EndOffset = check.EndCluster << image.Layout.ClusterBits,
        Findings = [.. check.Findings.Texts],
    };
}
