using Ublk.Files;

namespace Ublk.Images;

/// <summary>What a check of an image found, and what was repaired.</summary>
public sealed record ImageCheckResult : ImageResult
{
    /// <summary>The image's format.</summary>
    public required ImageFormat Format { get; init; }

    /// <summary>How the image is now, after a repair.</summary>
    public ImageCondition Condition => Corruptions > 0 ? ImageCondition.Corrupt : Leaks > 0 ? ImageCondition.Leaking : ImageCondition.Clean;

    /// <summary>Contradictions that endanger data.</summary>
    public long Corruptions { get; init; }

    /// <summary>Clusters that take room and belong to nothing.</summary>
    public long Leaks { get; init; }

    /// <summary>Contradictions that a repair removed.</summary>
    public long CorruptionsFixed { get; init; }

    /// <summary>Leaked clusters that a repair gave back.</summary>
    public long LeaksFixed { get; init; }

    /// <summary>Clusters of the disk.</summary>
    public long TotalClusters { get; init; }

    /// <summary>Those of them that have a place in the file.</summary>
    public long AllocatedClusters { get; init; }

    /// <summary>Those of them that are compressed.</summary>
    public long CompressedClusters { get; init; }

    /// <summary>Those of them that do not follow on the one before.</summary>
    public long FragmentedClusters { get; init; }

    /// <summary>Where the last cluster in use ends, in bytes.</summary>
    public long EndOffset { get; init; }

    /// <summary>The first 100 findings, in words.</summary>
    public IReadOnlyList<string> Findings { get; init; } = [];
}

/// <summary>The condition of an image.</summary>
public enum ImageCondition
{
    /// <summary>No findings.</summary>
    Clean,

    /// <summary>Clusters are allocated but not referenced: space is lost, but no data.</summary>
    Leaking,

    /// <summary>The metadata is inconsistent.</summary>
    Corrupt,
}
