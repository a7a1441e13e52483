using Ublk.Io;

namespace Ublk.Qcow2.Metadata;

/// <summary>A cluster of metadata in memory, as it is in the file or will be: an L2 table, or a refcount block.</summary>
/// <param name="length">Bytes in a cluster.</param>
internal abstract class CachedCluster(int length) : IDisposable
{
    /// <summary>Where it differs from the file.</summary>
    public DirtyRange Dirty;

    /// <summary>Its content.</summary>
    public AlignedBuffer Buffer { get; } = new(length);

    /// <summary>Where it is in the file.</summary>
    public long HostOffset { get; set; }

    /// <summary>Whether nothing in the file points to it yet.</summary>
    public bool IsNew { get; set; }

    /// <summary>Whether it was used since the cache last looked for one to give up.</summary>
    public bool IsReferenced { get; set; }

    /// <summary>Marks it as one that the file does not have yet.</summary>
    public void MarkNew()
    {
        IsNew = true;
        IsReferenced = true;
        Dirty.Mark(0, length);
    }

    /// <summary>Copies what changed, rounded to units of so many bytes, for a flush.</summary>
    public void Stage(StagedWrites writes, int unit)
    {
        if (Dirty.IsDirty)
        {
            Range range = Dirty.Take(unit, length);
            writes.Add(Buffer.Span[range], HostOffset + range.Start.Value);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Buffer.Dispose();
}
