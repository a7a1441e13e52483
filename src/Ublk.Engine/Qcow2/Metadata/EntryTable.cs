using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Ublk.Qcow2.Metadata;

/// <summary>A table of entries of 8 bytes, whole in memory: the active L1 table, or the refcount table.</summary>
/// <param name="entries">The entries, in this machine's byte order. They are read without a lock.</param>
/// <param name="offset">Where the table is in the file.</param>
internal sealed class EntryTable(ulong[] entries, long offset)
{
    private DirtyRange _dirty;

    /// <summary>The entries.</summary>
    public ReadOnlySpan<ulong> Entries => entries;

    /// <summary>Where the table is in the file.</summary>
    public long Offset => offset;

    /// <summary>An entry.</summary>
    public ulong this[long index] => Volatile.Read(ref entries[index]);

    /// <summary>Changes an entry.</summary>
    public void Set(int index, ulong entry)
    {
        Volatile.Write(ref entries[index], entry);
        _dirty.Mark(index * 8, 8);
    }

    /// <summary>Copies what changed, rounded to units of this many bytes, for a flush.</summary>
    public void Stage(StagedWrites writes, int unit)
    {
        if (_dirty.IsDirty)
        {
            Range range = _dirty.Take(unit, int.MaxValue);
            byte[] bytes = new byte[range.End.Value - range.Start.Value];
            CopyTo(bytes, range.Start.Value / 8);
            writes.Add(bytes, offset + range.Start.Value);
        }
    }

    /// <summary>A flush has ended.</summary>
    public void Settle(bool succeeded) => _dirty.Settle(succeeded);

    /// <summary>Copies entries as they are in the file; what is beyond the table's end is 0.</summary>
    public void CopyTo(Span<byte> bytes, int first)
    {
        Span<ulong> copy = MemoryMarshal.Cast<byte, ulong>(bytes);
        copy.Clear();
        Entries[first..int.Min(first + copy.Length, entries.Length)].CopyTo(copy);
        BinaryPrimitives.ReverseEndianness(copy, copy);
    }
}
