using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;
using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.State;

/// <summary>
/// The changes of metadata that the image does not have yet, in memory that outlives the process: a file of the run-time
/// directory. Writes that were answered survive the worker's death by it. A power cut takes it, as it may take what was not flushed.
/// </summary>
/// <remarks>
/// It has two halves: while a flush writes back what is in one, changes go to the other. Used under the image's lock. A process
/// that is killed between two instructions leaves whole records: a record counts once the count says so.
/// </remarks>
internal sealed unsafe class WriteJournal : IDisposable
{
    private const ulong Magic = 0x31_6C_6E_72_6A_32_63_71;
    private const int HeadLength = 4096;
    private const int HalfCapacity = 8192;

    // Tables and blocks find room when a change has asked for too little; see HasRoom.
    private const int ChangeLimit = HalfCapacity / 2;

    private readonly Head* _head;
    private readonly int _clusterSize;

    // Whether a record since the start of the last flush found no room.
    private bool _isIncomplete;

    private WriteJournal(nint address, int clusterSize)
    {
        _head = (Head*)address;
        _clusterSize = clusterSize;
    }

    /// <summary>Bytes of the file.</summary>
    private static int Length => HeadLength + (2 * HalfCapacity * sizeof(JournalRecord));

    /// <summary>Whether a change of this many records may be noted; otherwise a flush must come first.</summary>
    public bool HasRoom(int records) => _head->Counts[_head->Active] + records <= ChangeLimit;

    /// <summary>Opens the journal of a device, or makes a new one.</summary>
    /// <param name="path">The file.</param>
    /// <param name="image">The image's identity.</param>
    /// <param name="clusterSize">Bytes in a cluster.</param>
    /// <param name="mustExist">Whether a former worker kept it. Otherwise a missing one, or one of another image, begins empty.</param>
    /// <exception cref="UblkException">There is no room for it; or it must exist and does not, or is of another image.</exception>
    public static WriteJournal Open(string path, (ulong Device, ulong Inode) image, int clusterSize, bool mustExist)
    {
        using SafeFileHandle file =
            Libc.Open(path, Libc.O_RDWR | Libc.O_NOFOLLOW | (mustExist ? 0 : Libc.O_CREAT), mode: Libc.OwnerReadWrite);
        int errno = file.IsInvalid ? Libc.LastErrno : 0;
        if (mustExist && errno == 0 && (Libc.Statx(file, out Libc.StatxBuffer state) != 0 || state.Size != (ulong)Length))
        {
            errno = Libc.EINVAL;
        }

        if (mustExist && errno != 0)
        {
            throw Lost(path, errno);
        }

        // All pages now: one that was not to be had later would end the process.
        if (errno != 0 || Libc.FTruncate(file, Length) != 0 || Libc.FAllocate(file, 0, 0, Length) != 0)
        {
            throw UblkException.FromErrno(errno != 0 ? errno : Libc.LastErrno, "journal", $"{path} cannot be made");
        }

        nint address = Libc.MMap((nuint)Length, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_SHARED, file, 0);
        if (address == 0)
        {
            throw UblkException.FromErrno(Libc.LastErrno, "mmap", $"{path} cannot be mapped");
        }

        WriteJournal journal = new(address, clusterSize);
        Head* head = journal._head;
        if (head->Magic != Magic || head->Device != image.Device || head->Inode != image.Inode)
        {
            if (mustExist)
            {
                journal.Dispose();
                throw Lost(path, Libc.EINVAL);
            }

            *head = new Head { Device = image.Device, Inode = image.Inode };
            Volatile.Write(ref head->Magic, Magic);
        }

        return journal;
    }

    /// <summary>The error of a journal that a former worker kept and that cannot be used now.</summary>
    /// <param name="path">The journal.</param>
    /// <param name="errno">Why.</param>
    public static UblkException Lost(string path, int errno) => new(UblkError.OperationFailed,
        $"{path} has what the last worker had not written to the image, and cannot be used: "
            + $"{(errno == Libc.EINVAL ? "it belongs to another image" : Libc.Describe(errno))}. Put it back. If it is lost, remove the "
            + "device and attach the image again: it has the state of the last flush.", errno, "recover");

    /// <summary>The records, in the order of the changes.</summary>
    /// <exception cref="UblkException">The image could not be flushed for so long that some are missing.</exception>
    public IReadOnlyList<JournalRecord> Read()
    {
        if (_head->IsBroken != 0)
        {
            throw new UblkException(UblkError.OperationFailed,
                "The last worker could not flush its image, and more was written than its journal has room for. Remove the device and "
                    + "attach the image again: it has the state of the last flush.", operation: "recover");
        }

        List<JournalRecord> records = [];
        int active = _head->Active & 1;
        foreach (int half in (int[])[1 - active, active])
        {
            int count = int.Clamp(_head->Counts[half], 0, HalfCapacity);
            records.AddRange(new ReadOnlySpan<JournalRecord>(RecordsOf(half), count));
        }

        return records;
    }

    /// <summary>Notes a changed L2 entry.</summary>
    public void AddEntry(long cluster, L2Entry former, L2Entry entry)
    {
        int half = _head->Active;
        int count = _head->Counts[half];
        if (count > 0)
        {
            JournalRecord* last = RecordsOf(half) + count - 1;
            if (last->Kind == JournalRecordKind.Entries && cluster == last->Position + last->Count
                && entry == EntryOf(*last, last->Count, _clusterSize))
            {
                Volatile.Write(ref last->Count, last->Count + 1);
                return;
            }
        }

        Add(new JournalRecord
        {
            Kind = JournalRecordKind.Entries, Count = 1, Position = cluster,
            Value = entry.Descriptor, Subclusters = entry.Subclusters, Former = former.Descriptor,
        });
    }

    /// <summary>Notes the new place of an L2 table.</summary>
    public void AddTable(int l1Index, long offset) =>
        Add(new JournalRecord { Kind = JournalRecordKind.Table, Position = l1Index, Value = (ulong)offset });

    /// <summary>Notes a new refcount block.</summary>
    public void AddRefcountBlock(int index, long offset) =>
        Add(new JournalRecord { Kind = JournalRecordKind.RefcountBlock, Position = index, Value = (ulong)offset });

    /// <summary>One of the entries of a record.</summary>
    public static L2Entry EntryOf(in JournalRecord record, int number, int clusterSize)
    {
        L2Entry first = new(record.Value, record.Subclusters);
        return first.Offset == 0 ? first : first with { Descriptor = first.Descriptor + ((ulong)number * (ulong)clusterSize) };
    }

    /// <summary>A flush begins to write back all changes.</summary>
    public void BeginFlush()
    {
        if (_head->IsBroken != 0)
        {
            // What earlier flushes could not write is among the changes of this one.
            Volatile.Write(ref _head->Counts[1 - _head->Active], 0);
        }

        _isIncomplete = false;
        Volatile.Write(ref _head->Active, 1 - _head->Active);
    }

    /// <summary>The flush has ended.</summary>
    /// <param name="succeeded">Whether the image has the changes now.</param>
    public void EndFlush(bool succeeded)
    {
        int flushed = 1 - _head->Active;
        if (succeeded)
        {
            Volatile.Write(ref _head->Counts[flushed], 0);
            _head->IsBroken = _isIncomplete ? 1 : 0;
            return;
        }

        // Both go into the older half again, which may repeat what it has, but never in another order.
        int count = _head->Counts[flushed];
        int added = _head->Counts[_head->Active];
        if (count + added > HalfCapacity)
        {
            _head->IsBroken = 1;
            return;
        }

        new Span<JournalRecord>(RecordsOf(_head->Active), added).CopyTo(new Span<JournalRecord>(RecordsOf(flushed) + count, added));
        Volatile.Write(ref _head->Counts[flushed], count + added);
        Volatile.Write(ref _head->Counts[_head->Active], 0);
        Volatile.Write(ref _head->Active, flushed);
    }

    /// <summary>The image has everything.</summary>
    public void Clear()
    {
        Volatile.Write(ref _head->Counts[0], 0);
        Volatile.Write(ref _head->Counts[1], 0);
        _head->IsBroken = 0;
    }

    /// <inheritdoc/>
    public void Dispose() => _ = Libc.MUnmap((nint)_head, (nuint)Length);

    private void Add(in JournalRecord record)
    {
        int half = _head->Active;
        int count = _head->Counts[half];
        if (count >= HalfCapacity)
        {
            _isIncomplete = true;
            _head->IsBroken = 1;
            return;
        }

        RecordsOf(half)[count] = record;
        Volatile.Write(ref _head->Counts[half], count + 1);
    }

    private JournalRecord* RecordsOf(int half) => (JournalRecord*)((byte*)_head + HeadLength) + (half * HalfCapacity);

    [StructLayout(LayoutKind.Explicit)]
    private struct Head
    {
        [FieldOffset(0)] public ulong Magic;
        [FieldOffset(8)] public ulong Device;
        [FieldOffset(16)] public ulong Inode;
        [FieldOffset(24)] public int Active;
        [FieldOffset(28)] public int IsBroken;
        [FieldOffset(32)] public TwoCounts Counts;
    }

    [InlineArray(2)]
    private struct TwoCounts
    {
        private int _first;
    }
}

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
