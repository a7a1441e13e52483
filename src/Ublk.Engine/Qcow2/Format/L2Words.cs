using System.Runtime.InteropServices;

namespace Ublk.Qcow2.Format;

/// <summary>An L2 table of an image at rest, as it is in the file. A new one has no entries.</summary>
/// <param name="layout">The image's layout.</param>
internal readonly struct L2Words(ClusterLayout layout)
{
    private readonly ulong[] _words = new ulong[layout.ClusterSize / sizeof(ulong)];

    /// <summary>The table as it is in the file.</summary>
    public Span<byte> Bytes => MemoryMarshal.AsBytes(_words.AsSpan());

    /// <summary>The entry of a cluster.</summary>
    public L2Entry this[int index]
    {
        get => L2Entry.Read(_words, index, layout.HasExtendedL2);
        set => value.Write(_words, index, layout.HasExtendedL2);
    }
}
