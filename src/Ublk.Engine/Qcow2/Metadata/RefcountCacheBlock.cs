using Ublk.Io;

namespace Ublk.Qcow2.Metadata;

/// <summary>A refcount block in memory. Used under the allocator's mutex.</summary>
internal sealed class RefcountCacheBlock(int length)
{
    /// <summary>Where the block stands in the file; see <see cref="DirtyRange"/>.</summary>
    public DirtyRange Dirty;

    /// <summary>The counts, as they are in the file.</summary>
    public AlignedBuffer Buffer { get; } = new(length);

    /// <summary>Which block of the image it is.</summary>
    public int Index { get; set; }

    /// <summary>Where it is in the file.</summary>
    public long HostOffset { get; set; }

    /// <summary>Whether the refcount table in the file does not point to it yet.</summary>
    public bool IsNew { get; set; }

    /// <summary>Whether it was used since the cache last looked for one to give up.</summary>
    public bool IsReferenced { get; set; }
}
