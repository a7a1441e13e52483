using System.Runtime.InteropServices;

namespace Ublk.Qcow2.State;

/// <summary>What a record of the journal is about.</summary>
internal enum JournalRecordKind
{
    /// <summary>L2 entries of neighbouring clusters.</summary>
    Entries = 1,

    /// <summary>An L2 table's new place.</summary>
    Table = 2,

    /// <summary>A new refcount block.</summary>
    RefcountBlock = 3,
}

/// <summary>One change of metadata that is not in the image yet.</summary>
[StructLayout(LayoutKind.Explicit, Size = 40)]
internal struct JournalRecord
{
    /// <summary>What it is about.</summary>
    [FieldOffset(0)] public JournalRecordKind Kind;

    /// <summary>How many neighbouring L2 entries.</summary>
    [FieldOffset(4)] public int Count;

    /// <summary>The first cluster of the disk, the L1 index, or the refcount block's index.</summary>
    [FieldOffset(8)] public long Position;

    /// <summary>
    /// The first entry's descriptor, or the place of the table or block. Entries with a place have theirs one after the other.
    /// </summary>
    [FieldOffset(16)] public ulong Value;

    /// <summary>The entries' subclusters.</summary>
    [FieldOffset(24)] public ulong Subclusters;

    /// <summary>The first entry's former descriptor.</summary>
    [FieldOffset(32)] public ulong Former;
}
