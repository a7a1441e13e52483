namespace Ublk.Targets.Nbd;

/// <summary>Which parts of a read have come: chunks may come in any order, but none of them twice.</summary>
internal sealed class CoveredRanges
{
    // Servers send chunks in order, or a few threads' mixed. More gaps than this are an attack on memory.
    private const int MaxRanges = 4096;

    // Disjoint, in order, and none touches the next.
    private (int Start, int End)[] _ranges = new (int Start, int End)[4];
    private int _count;

    /// <summary>Whether anything has come.</summary>
    public bool HasAny => _count > 0;

    /// <summary>Begins anew.</summary>
    public void Clear() => _count = 0;

    /// <summary>Whether everything from 0 to a length has come.</summary>
    public bool IsComplete(int length) => length == 0 || (_count == 1 && _ranges[0] == (0, length));

    /// <summary>Adds a range that is not empty.</summary>
    /// <returns>False where a part of it has come before, or there are too many gaps.</returns>
    public bool TryAdd(int start, int length)
    {
        int end = start + length;
        int place = _count;
        while (place > 0 && _ranges[place - 1].Start >= end)
        {
            place--;
        }

        bool hasBefore = place > 0;
        if (hasBefore && _ranges[place - 1].End > start)
        {
            return false;
        }

        bool joinsBefore = hasBefore && _ranges[place - 1].End == start;
        bool joinsAfter = place < _count && _ranges[place].Start == end;
        if (joinsBefore && joinsAfter)
        {
            _ranges[place - 1].End = _ranges[place].End;
            Array.Copy(_ranges, place + 1, _ranges, place, --_count - place);
        }
        else if (joinsBefore)
        {
            _ranges[place - 1].End = end;
        }
        else if (joinsAfter)
        {
            _ranges[place].Start = start;
        }
        else
        {
            return TryInsert(place, start, end);
        }

        return true;
    }

    private bool TryInsert(int place, int start, int end)
    {
        if (_count == MaxRanges)
        {
            return false;
        }

        if (_count == _ranges.Length)
        {
            Array.Resize(ref _ranges, _count * 2);
        }

        Array.Copy(_ranges, place, _ranges, place + 1, _count++ - place);
        _ranges[place] = (start, end);
        return true;
    }
}
