using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>Compares what an image refers to with what its reference counts say.</summary>
internal sealed class Qcow2Check(CheckFindings findings, MetadataWalk walk, StoredRefcounts stored)
{
    /// <summary>What is wrong.</summary>
    public CheckFindings Findings => findings;

    /// <summary>What the image refers to.</summary>
    public MetadataWalk Walk => walk;

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
        StoredRefcounts stored = new(image, walk.RefcountBlocks);
        Qcow2Check check = new(findings, walk, stored);
        check.CompareCounts(image);
        CopiedFlags.Compare(image, cluster => stored[cluster], findings.AddCorruption, fix: false, progress);
        return check;
    }

    private void CompareCounts(Qcow2File image)
    {
        ClusterLayout layout = image.Layout;
        long fileEnd = layout.ClustersFor(image.File.Length);
        SortedSet<long> blocks = [.. walk.Counts.BlocksIn(layout)];
        for (int index = 0; index < walk.RefcountBlocks.Length; index++)
        {
            if (walk.RefcountBlocks[index].Raw != 0)
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
        byte[]? block = stored.Find(index);
        long first = index << layout.RefcountBlockBits;
        for (int entry = 0; entry < layout.RefcountBlockEntries; entry++)
        {
            ulong count = block is null ? 0 : RefcountBlock.Get(block, layout.RefcountOrder, entry);
            long cluster = first + entry;
            uint counted = walk.Counts[cluster];

            // Beyond the end of the file there is nothing to be leaked.
            if (counted > 0 || (count > 0 && cluster < fileEnd))
            {
                EndCluster = cluster + 1;
            }

            if (count < counted)
            {
                findings.AddCorruption($"Cluster {cluster} is referred to {counted} times, but its reference count is {count}.");
            }
            else if (count > counted && (counted > 0 || cluster < fileEnd))
            {
                findings.AddLeak($"Cluster {cluster} is leaked: it is referred to {counted} times, and its reference count is {count}.");
            }
        }
    }
}
