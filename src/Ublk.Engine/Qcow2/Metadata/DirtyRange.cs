namespace Ublk.Qcow2.Metadata;

/// <summary>The bytes of a table that differ from the file: changed since, and those that a flush under way is writing.</summary>
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
