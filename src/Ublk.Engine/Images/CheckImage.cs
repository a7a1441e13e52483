using Ublk.Files;
using Ublk.Qcow2.AtRest;

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
        Qcow2Check left = Repair ? Qcow2Repair.Run(image, found, progress) : found;
        if (left == found)
        {
            return Describe(image, found);
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
