using Ublk.Files;
using Ublk.Qcow2.AtRest;

namespace Ublk.Images;

/// <summary>The findings of a check that are repaired.</summary>
public enum ImageRepair
{
    /// <summary>None.</summary>
    None,

    /// <summary>Leaked clusters. An image with corruptions is an error.</summary>
    Leaks,

    /// <summary>Corruptions and leaked clusters.</summary>
    All,
}

/// <summary>Checks an image for corruptions and leaked clusters, and repairs them on request.</summary>
public sealed record CheckImage : ImageOperation
{
    /// <summary>What to repair.</summary>
    public ImageRepair Repair { get; init; }

    /// <inheritdoc/>
    internal override ImageCheckResult Run(ImageProgress progress)
    {
        using Qcow2File image = Qcow2File.Read(Repair != ImageRepair.None ? OpenForWriting(Path) : DiskFile.OpenForReading(Path));
        Qcow2Check found = Qcow2Check.Of(image, progress);
        if (Repair == ImageRepair.Leaks && found.Findings.Corruptions > 0)
        {
            throw new UblkException(UblkError.InvalidImage,
                $"{Path} has {found.Findings.Corruptions} corruptions, and freeing leaked clusters could damage it further. "
                    + $"Repair all: Repair-UblkImage '{Path}'");
        }

        Qcow2Check left = Repair != ImageRepair.None ? Qcow2Repair.Run(image, found, progress) : found;
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
