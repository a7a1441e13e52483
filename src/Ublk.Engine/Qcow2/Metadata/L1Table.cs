using System.Buffers.Binary;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Metadata;

/// <summary>The active L1 table, whole in memory. Its entries are read without a lock and changed under the image's lock.</summary>
/// <param name="image">The image.</param>
/// <param name="entries">The entries, in this machine's byte order.</param>
/// <param name="offset">Where the table is in the file.</param>
internal sealed class L1Table(ImageState image, ulong[] entries, long offset)
{
    private DirtyRange _dirty;

    /// <summary>The entries.</summary>
    public ReadOnlySpan<ulong> Entries => entries;

    /// <summary>An entry.</summary>
    public L1Entry this[int index] => new(Volatile.Read(ref entries[index]));

    /// <summary>Whether an entry points where no L2 table can be.</summary>
    /// <remarks>The header is at 0; a copied bit alone does not make it a table.</remarks>
    public bool IsInvalid(int index) =>
        this[index].Offset is var place && (place == 0 || !image.Layout.IsAligned(place) || place >= image.File.Length);

    /// <summary>Points an entry to another L2 table.</summary>
    public void Set(int index, long hostOffset)
    {
        Volatile.Write(ref entries[index], L1Entry.At(hostOffset).Raw);
        image.Journal?.AddTable(index, hostOffset);
        _dirty.Mark(index * 8, 8);
    }

    /// <summary>Copies what changed, for a flush.</summary>
    public void Stage(StagedWrites writes)
    {
        if (_dirty.IsDirty)
        {
            Range range = _dirty.Take(image.WriteUnit, int.MaxValue);
            writes.Add(BytesOf(range), offset + range.Start.Value);
        }
    }

    /// <summary>A flush has ended.</summary>
    public void Settle(bool succeeded) => _dirty.Settle(succeeded);

    private byte[] BytesOf(Range range)
    {
        byte[] bytes = new byte[range.End.Value - range.Start.Value];
        for (int place = 0; place < bytes.Length; place += 8)
        {
            int index = (range.Start.Value + place) / 8;
            BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(place), index < entries.Length ? entries[index] : 0);
        }

        return bytes;
    }
}
