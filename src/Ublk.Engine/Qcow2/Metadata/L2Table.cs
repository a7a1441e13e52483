using System.Runtime.CompilerServices;
using Ublk.Io;
using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.Metadata;

/// <summary>An L2 table in memory, as it is in the file. Its entries are read without a lock and changed under the image's lock.</summary>
/// <remarks>
/// A reader takes the version, reads, and takes it again: if it changed, or is odd, what was read may be of two
/// states, or of two tables.
/// </remarks>
internal sealed unsafe class L2Table(int length, bool isExtended) : CachedCluster(length)
{
    private readonly int _words = length / sizeof(ulong);
    private int _version;

    /// <summary>Requests that wait for its loading.</summary>
    public QueueWaiter? Waiters;

    /// <summary>Which entry of the L1 table points here; -1 while it is free.</summary>
    public int L1Index { get; private set; } = -1;

    /// <summary>Whether it is being read from the file.</summary>
    public bool IsLoading { get; set; }

    /// <summary>Where the cached version of the table begins to be valid for readers.</summary>
    public int Version => Volatile.Read(ref _version);

    /// <summary>Whether what was read since a version is of one state.</summary>
    public bool IsCurrent(int version)
    {
        Volatile.ReadBarrier();
        return (version & 1) == 0 && _version == version;
    }

    /// <summary>An entry.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public L2Entry Read(int index) => L2Entry.Read(Words, index, isExtended);

    /// <summary>Gives the memory to another table, which cannot be found in the cache meanwhile.</summary>
    public void Assign(int l1Index, long hostOffset)
    {
        BeginChange();
        L1Index = l1Index;
        HostOffset = hostOffset;
        EndChange();
    }

    /// <summary>Makes readers notice what happens until <see cref="EndChange"/>.</summary>
    public void BeginChange() => Interlocked.Increment(ref _version);

    /// <summary>Ends a change.</summary>
    public void EndChange() => Interlocked.Increment(ref _version);

    /// <summary>Changes an entry, between <see cref="BeginChange"/> and <see cref="EndChange"/>.</summary>
    public void Write(int index, L2Entry entry)
    {
        entry.Write(Words, index, isExtended);
        int size = isExtended ? 16 : 8;
        Dirty.Mark(index * size, size);
    }

    private Span<ulong> Words => new((void*)Buffer.Address, _words);
}
