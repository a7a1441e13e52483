namespace Ublk.Qcow2.Format;

/// <summary>An L2 table in memory: entries of 8 bytes, or of 16 where they are extended.</summary>
/// <param name="layout">The image's layout.</param>
/// <param name="words">A cluster's worth of numbers.</param>
internal readonly struct L2Words(ClusterLayout layout, ulong[] words)
{
    /// <summary>The table as it is in the file, but for the byte order.</summary>
    public ulong[] Words => words;

    /// <summary>The entry of a cluster.</summary>
    public L2Entry this[int index]
    {
        get => layout.HasExtendedL2 ? new L2Entry(words[index * 2], words[(index * 2) + 1]) : new L2Entry(words[index]);
        set
        {
            if (layout.HasExtendedL2)
            {
                words[index * 2] = value.Descriptor;
                words[(index * 2) + 1] = value.Subclusters;
            }
            else
            {
                words[index] = value.Descriptor;
            }
        }
    }
}
