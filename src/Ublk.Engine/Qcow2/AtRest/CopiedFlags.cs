using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>The flags by which the active tables say that a cluster is theirs alone and may be written in place.</summary>
internal static class CopiedFlags
{
    /// <summary>Compares them with the counts.</summary>
    /// <param name="image">The image.</param>
    /// <param name="counts">How often each cluster is referred to.</param>
    /// <param name="differs">Called with a description of each wrong flag.</param>
    /// <param name="fix">Whether to put them right.</param>
    /// <param name="progress">Receives the progress.</param>
    public static void Compare(Qcow2File image, Func<long, ulong> counts, Action<string> differs, bool fix, ImageProgress progress)
    {
        ClusterLayout layout = image.Layout;
        L1Entry[] l1 = image.ReadL1();
        bool isL1Changed = false;
        for (int index = 0; index < l1.Length; index++)
        {
            L1Entry entry = l1[index];
            progress.Advance(8);
            if (!image.CanHoldL2(entry.Offset))
            {
                continue;
            }

            bool copied = counts(entry.Offset >> layout.ClusterBits) == 1;
            if (copied != entry.IsCopied)
            {
                differs($"Entry {index} of the active L1 table has its copied flag wrong.");
                l1[index] = L1Entry.At(entry.Offset, copied);
                isL1Changed = true;
            }

            L2Words table = image.ReadL2(entry.Offset);
            if (CompareL2(image, table, entry.Offset, counts, differs) && fix)
            {
                image.File.Write(table.Bytes, entry.Offset);
            }
        }

        if (isL1Changed && fix)
        {
            image.WriteTable<L1Entry>(image.Header.L1Offset, l1);
        }
    }

    private static bool CompareL2(Qcow2File image, L2Words table, long tableOffset, Func<long, ulong> counts, Action<string> differs)
    {
        bool isChanged = false;
        for (int index = 0; index < image.Layout.L2Entries; index++)
        {
            L2Entry entry = table[index];
            if (!entry.HasHostOffset(image.Layout))
            {
                continue;
            }

            // Clusters of a data file are never shared.
            bool copied = image.HasDataFile || counts(entry.Offset >> image.Layout.ClusterBits) == 1;
            if (copied != entry.IsCopied)
            {
                differs($"Entry {index} of the L2 table at byte {tableOffset} has its copied flag wrong.");
                table[index] = entry.WithCopied(copied);
                isChanged = true;
            }
        }

        return isChanged;
    }
}
