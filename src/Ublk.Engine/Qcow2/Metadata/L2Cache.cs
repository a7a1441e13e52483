using System.Runtime.CompilerServices;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Metadata;

/// <summary>The L2 tables used last.</summary>
internal sealed class L2Cache : IDisposable
{
    private readonly ImageState _image;
    private readonly ClusterLayout _layout;
    private readonly int _capacity;
    private readonly L2Table?[] _byL1;
    private readonly List<L2Table> _all = [];
    private QueueWaiter? _roomWaiters;
    private int _hand;
    private bool _hasChanges;

    /// <summary>Begins with none.</summary>
    /// <param name="image">The image.</param>
    /// <param name="l1">What points to the tables.</param>
    /// <param name="capacity">Tables to keep in memory, at least 2.</param>
    public L2Cache(ImageState image, L1Table l1, int capacity)
    {
        _image = image;
        _layout = image.Layout;
        L1 = l1;
        _byL1 = new L2Table?[l1.Entries.Length];
        _capacity = capacity;
    }

    /// <summary>Writes metadata back; needed when every table in memory has changed.</summary>
    public Func<IoQueue?, ValueTask<int>>? Flush { get; set; }

    /// <summary>What points to the tables.</summary>
    public L1Table L1 { get; }

    /// <summary>The table of an L1 entry if it is in memory.</summary>
    public L2Table? Find(int l1Index) => Volatile.Read(ref _byL1[l1Index]);

    /// <summary>Brings a table into memory. It may be evicted before the caller looks for it, which then tries again.</summary>
    /// <returns>0 or a negative errno; -EIO too where the L1 table lies.</returns>
    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    public async ValueTask<int> LoadAsync(IoQueue? queue, int l1Index)
    {
        L2Table table;
        while (true)
        {
            ValueTask<int> wait = TryBegin(queue, l1Index, out L2Table? begun);
            if (begun is not null)
            {
                table = begun;
                break;
            }

            int result = await wait;
            if (result < 0 || Find(l1Index) is not null)
            {
                return result;
            }
        }

        int read = -Libc.EIO;
        try
        {
            return read = L1.IsInvalid(l1Index)
                ? await _image.Health.MarkCorruptAsync(queue)
                : await _image.File.ReadAsync(queue, table.Buffer.Part(0, _layout.ClusterSize), table.HostOffset);
        }
        finally
        {
            Install(table, l1Index, read);
        }
    }

    /// <summary>Takes memory for a table that is to be made. It is given to <see cref="Publish"/> or <see cref="Trim"/>.</summary>
    /// <param name="queue">The caller's queue.</param>
    /// <param name="table">The memory; null where all is in use, until the returned task completes with 0.</param>
    public ValueTask<int> TakeAsync(IoQueue? queue, out L2Table? table)
    {
        lock (_image.Lock)
        {
            table = TryTake();
        }

        return table is null ? MakeRoom(queue) : new ValueTask<int>(0);
    }

    /// <summary>Shows a table that was made, and points its L1 entry to it; under the lock.</summary>
    public void Publish(L2Table table, int l1Index, long hostOffset)
    {
        table.IsLoading = false;
        table.Assign(l1Index, hostOffset);
        MarkNew(table);
        Volatile.Write(ref _byL1[l1Index], table);
        L1.Set(l1Index, hostOffset);
    }

    /// <summary>Gives a table a place of its own, instead of one that something else refers to; under the lock.</summary>
    public void Move(L2Table table, long hostOffset)
    {
        table.HostOffset = hostOffset;
        MarkNew(table);
        L1.Set(table.L1Index, hostOffset);
    }

    /// <summary>Gives back what <see cref="TakeAsync"/> took.</summary>
    public void Trim(L2Table table)
    {
        QueueWaiter? waiters;
        lock (_image.Lock)
        {
            table.IsLoading = false;
            waiters = TakeRoomWaiters();
        }

        QueueWaiter.WakeAll(waiters, 0);
    }

    /// <summary>Whether a flush has something to do.</summary>
    public bool HasChanges => Volatile.Read(ref _hasChanges);

    /// <summary>Notes that an entry was changed; under the lock.</summary>
    public void NoteChange() => Volatile.Write(ref _hasChanges, true);

    /// <summary>Copies what changed, for a flush; under the lock.</summary>
    /// <param name="newTables">Gets tables that nothing in the file points to.</param>
    /// <param name="changes">Gets the changes of the others.</param>
    /// <param name="l1">Gets the changes of the L1 table, which go to the file after the new tables.</param>
    public void Stage(StagedWrites newTables, StagedWrites changes, StagedWrites l1)
    {
        Volatile.Write(ref _hasChanges, false);
        foreach (L2Table table in _all)
        {
            if (table.Dirty.IsDirty)
            {
                Range range = table.Dirty.Take(_image.WriteUnit, _layout.ClusterSize);
                (table.IsNew ? newTables : changes).Add(table.Buffer.Span[range], table.HostOffset + range.Start.Value);
            }
        }

        L1.Stage(l1);
    }

    /// <summary>New tables that a flush took are durable, and may be pointed to from now on; under the lock.</summary>
    public void ConfirmNew()
    {
        foreach (L2Table table in _all)
        {
            table.IsNew &= !table.Dirty.IsInFlush;
        }
    }

    /// <summary>A flush has ended; under the lock.</summary>
    /// <returns>The waiters for room, to be woken outside the lock.</returns>
    public QueueWaiter? Settle(bool succeeded)
    {
        foreach (L2Table table in _all)
        {
            table.Dirty.Settle(succeeded);
        }

        L1.Settle(succeeded);
        Volatile.Write(ref _hasChanges, _hasChanges || !succeeded);
        return TakeRoomWaiters();
    }

    /// <inheritdoc/>
    public void Dispose() => _all.ForEach(table => table.Dispose());

    private ValueTask<int> TryBegin(IoQueue? queue, int l1Index, out L2Table? begun)
    {
        begun = null;
        lock (_image.Lock)
        {
            if (_byL1[l1Index] is not null)
            {
                return new ValueTask<int>(0);
            }

            foreach (L2Table table in _all)
            {
                if (table.IsLoading && table.L1Index == l1Index)
                {
                    QueueWaiter waiter = QueueWaiter.Rent(queue);
                    waiter.Next = table.Waiters;
                    table.Waiters = waiter;
                    return waiter.Task;
                }
            }

            begun = TryTake();
            if (begun is not null)
            {
                // Readers that still know the table by its former use must not take for whole what is being read.
                begun.Assign(l1Index, L1[l1Index].Offset);
                begun.BeginChange();
                _image.Statistics.CacheMisses.Add();
                return new ValueTask<int>(0);
            }
        }

        return MakeRoom(queue);
    }

    private void Install(L2Table table, int l1Index, int result)
    {
        QueueWaiter? waiters;
        QueueWaiter? roomWaiters;
        lock (_image.Lock)
        {
            table.IsLoading = false;
            waiters = table.Waiters;
            table.Waiters = null;
            table.EndChange();
            if (result == 0)
            {
                Volatile.Write(ref _byL1[l1Index], table);
            }
            else
            {
                table.Assign(-1, 0);
            }

            roomWaiters = TakeRoomWaiters();
        }

        QueueWaiter.WakeAll(waiters, result);
        QueueWaiter.WakeAll(roomWaiters, 0);
    }

    // A table that is marked as loading, or null where all are in use.
    private L2Table? TryTake()
    {
        if (_all.Count < _capacity)
        {
            L2Table added = new(_layout.ClusterSize, _layout.HasExtendedL2) { IsLoading = true };
            _all.Add(added);
            return added;
        }

        for (int tries = 0; tries < 2 * _all.Count; tries++)
        {
            _hand = _hand + 1 >= _all.Count ? 0 : _hand + 1;
            L2Table table = _all[_hand];
            if (table.IsLoading || !table.Dirty.IsClean)
            {
                continue;
            }

            if (table.L1Index >= 0 && table.IsReferenced)
            {
                table.IsReferenced = false;
                continue;
            }

            if (table.L1Index >= 0)
            {
                Volatile.Write(ref _byL1[table.L1Index], null);
                table.Assign(-1, 0);
            }

            table.IsLoading = true;
            return table;
        }

        return null;
    }

    // Has changed tables written, or waits for one that is being read or written.
    private ValueTask<int> MakeRoom(IoQueue? queue)
    {
        if (HasChanges)
        {
            return Flush!(queue);
        }

        lock (_image.Lock)
        {
            if (HasChanges || _all.Exists(table => !table.IsLoading && table.Dirty.IsClean))
            {
                return new ValueTask<int>(0);
            }

            QueueWaiter waiter = QueueWaiter.Rent(queue);
            waiter.Next = _roomWaiters;
            _roomWaiters = waiter;
            return waiter.Task;
        }
    }

    private QueueWaiter? TakeRoomWaiters()
    {
        QueueWaiter? waiters = _roomWaiters;
        _roomWaiters = null;
        return waiters;
    }

    private void MarkNew(L2Table table)
    {
        table.IsNew = true;
        table.IsReferenced = true;
        table.Dirty.Mark(0, _layout.ClusterSize);
        NoteChange();
    }
}
