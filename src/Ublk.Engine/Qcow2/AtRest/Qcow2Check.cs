using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>Compares what an image refers to with what its reference counts say.</summary>
internal sealed class Qcow2Check
{
    private Qcow2Check(CheckFindings findings, MetadataWalk walk, StoredRefcounts stored)
    {
        Findings = findings;
        Walk = walk;
        Stored = stored;
    }

    /// <summary>What is wrong.</summary>
    public CheckFindings Findings { get; }

    /// <summary>What the image refers to.</summary>
    public MetadataWalk Walk { get; }

    /// <summary>The counts as they are in the file.</summary>
    public StoredRefcounts Stored { get; }

    /// <summary>The cluster after the last that is in use, or leaked.</summary>
    public long EndCluster { get; private set; }

    /// <summary>Checks an image.</summary>
    /// <exception cref="UblkException">The image cannot be read, or is malformed beyond a check.</exception>
    public static Qcow2Check Of(Qcow2File image, ImageProgress progress)
    {
        // Every entry of every L1 table is visited twice.
        progress.Begin($"Checking {image.File.Path}",
            ((image.Header.L1Size * 2L) + image.Snapshots.Sum(snapshot => (long)snapshot.L1Size)) * 8);
        CheckFindings findings = new();
        MetadataWalk walk = MetadataWalk.Of(image, findings, progress);
        Qcow2Check check = new(findings, walk, new StoredRefcounts(image, walk.RefcountBlocks));
        check.CompareCounts(image);
        CopiedFlags.Compare(image, cluster => check.Stored[cluster], findings.AddCorruption, fix: false, progress);
        return check;
    }

    private void CompareCounts(Qcow2File image)
    {
        ClusterLayout layout = image.Layout;
        long fileEnd = layout.ClustersFor(image.File.Length);
        SortedSet<long> blocks = [];
        foreach ((long first, long count) in Walk.Counts.Runs)
        {
            for (long index = first >> layout.RefcountBlockBits; index << layout.RefcountBlockBits < first + count; index++)
            {
                blocks.Add(index);
            }
        }

        for (long index = 0; index < Walk.RefcountBlocks.Length; index++)
        {
            if (Walk.RefcountBlocks[index].Raw != 0)
            {
                blocks.Add(index);
            }
        }

        foreach (long index in blocks)
        {
            CompareBlock(layout, index, fileEnd);
        }
    }

    private void CompareBlock(ClusterLayout layout, long index, long fileEnd)
    {
        byte[]? block = Stored.Find(index);
        long first = index << layout.RefcountBlockBits;
        for (int entry = 0; entry < layout.RefcountBlockEntries; entry++)
        {
            ulong stored = block is null ? 0 : RefcountBlock.Get(block, layout.RefcountOrder, entry);
            uint counted = Walk.Counts[first + entry];
            if (first + entry >= fileEnd && counted == 0)
            {
                // There is nothing to be leaked.
                continue;
            }

            if (stored > 0 || counted > 0)
            {
                EndCluster = first + entry + 1;
            }

            if (stored < counted)
            {
                Findings.AddCorruption($"Cluster {first + entry} is referred to {counted} times, but its reference count is {stored}.");
            }
            else if (stored > counted)
            {
                Findings.AddLeak(
                    $"Cluster {first + entry} is leaked: it is referred to {counted} times, and its reference count is {stored}.");
            }
        }
    }
}
