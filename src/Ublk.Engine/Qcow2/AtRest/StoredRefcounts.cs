using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.AtRest;

/// <summary>The reference counts as they are in the file; a block is read when it is first asked for.</summary>
/// <param name="image">The image.</param>
/// <param name="blocks">The refcount table; what is not in it counts 0.</param>
internal sealed class StoredRefcounts(Qcow2File image, RefcountTableEntry[] blocks)
{
    private readonly Dictionary<long, byte[]> _blocks = [];

    /// <summary>A cluster's count.</summary>
    public ulong this[long cluster]
    {
        get
        {
            ClusterLayout layout = image.Layout;
            int inBlock = (int)(cluster & (layout.RefcountBlockEntries - 1));
            return Find(cluster >> layout.RefcountBlockBits) is { } block ? RefcountBlock.Get(block, layout.RefcountOrder, inBlock) : 0;
        }
    }

    /// <summary>A block; null where there is none.</summary>
    public byte[]? Find(long index)
    {
        if (index >= blocks.Length || blocks[index].Offset == 0)
        {
            return null;
        }

        if (!_blocks.TryGetValue(index, out byte[]? block))
        {
            block = _blocks[index] = new byte[image.Layout.ClusterSize];
            image.File.Read(block, blocks[index].Offset);
        }

        return block;
    }
}
