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

    /// <summary>Copies what changed, rounded to units of this many bytes, for a flush.</summary>
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

/// <summary>The bytes of a table that differ from the file: changed since, and those that the current flush is writing.</summary>
internal struct DirtyRange
{
    private int _from;
    private int _to;
    private int _flushFrom;
    private int _flushTo;

    /// <summary>Whether bytes changed that no flush is writing.</summary>
    public readonly bool IsDirty => _to > 0;

    /// <summary>Whether a flush is writing.</summary>
    public readonly bool IsInFlush => _flushTo > 0;

    /// <summary>Whether memory and file agree.</summary>
    public readonly bool IsClean => _to == 0 && _flushTo == 0;

    /// <summary>Notes changed bytes.</summary>
    public void Mark(int from, int length)
    {
        _from = _to == 0 ? from : int.Min(_from, from);
        _to = int.Max(_to, from + length);
    }

    /// <summary>Hands the changed bytes to a flush.</summary>
    /// <param name="unit">What the range is rounded to, in bytes.</param>
    /// <param name="length">Where the table ends.</param>
    public Range Take(int unit, int length)
    {
        _flushFrom = _from / unit * unit;
        _flushTo = int.Min((_to + unit - 1) / unit * unit, length);
        _from = 0;
        _to = 0;
        return _flushFrom.._flushTo;
    }

    /// <summary>The flush has ended.</summary>
    /// <param name="succeeded">Whether the bytes are in the file; otherwise they are to be written again.</param>
    public void Settle(bool succeeded)
    {
        if (!succeeded && _flushTo > 0)
        {
            Mark(_flushFrom, _flushTo - _flushFrom);
        }

        _flushFrom = 0;
        _flushTo = 0;
    }

    /// <summary>The changed bytes were written outside of a flush.</summary>
    public void Clean() => _from = _to = 0;
}
