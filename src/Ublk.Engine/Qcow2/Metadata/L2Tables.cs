using Ublk.Io;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Metadata;

/// <summary>The L2 tables in memory: which of them have changed, and what a flush writes of them.</summary>
internal sealed class L2Tables(ImageState image, EntryTable l1) : IDisposable
{
    private QueueWaiter? _roomWaiters;
    private bool _hasChanges;

    /// <summary>All tables, also those being read; under the lock.</summary>
    public List<L2Table> All { get; } = [];

    /// <summary>What points to the tables.</summary>
    public EntryTable L1 => l1;

    /// <summary>Whether a flush has something to do.</summary>
    public bool HasChanges => Volatile.Read(ref _hasChanges);

    /// <summary>Notes that an entry was changed; under the lock.</summary>
    public void NoteChange() => Volatile.Write(ref _hasChanges, true);

    /// <summary>Marks a table that nothing in the file points to yet as changed; under the lock.</summary>
    public void MarkNew(L2Table table)
    {
        table.MarkNew();
        NoteChange();
    }

    /// <summary>Copies what changed, for a flush; under the lock.</summary>
    /// <param name="newTables">Gets tables that nothing in the file points to.</param>
    /// <param name="changes">Gets the changes of the others and of the L1 table, which go to the file after the new tables.</param>
    public void Stage(StagedWrites newTables, StagedWrites changes)
    {
        Volatile.Write(ref _hasChanges, false);
        foreach (L2Table table in All)
        {
            table.Stage(table.IsNew ? newTables : changes, image.WriteUnit);
        }

        l1.Stage(changes, image.WriteUnit);
    }

    /// <summary>New tables that a flush took are durable, and may be pointed to from now on; under the lock.</summary>
    public void ConfirmNew()
    {
        foreach (L2Table table in All)
        {
            table.IsNew &= !table.Dirty.IsInFlush;
        }
    }

    /// <summary>A flush has ended; under the lock.</summary>
    /// <returns>The waiters for room, to be woken outside the lock.</returns>
    public QueueWaiter? Settle(bool succeeded)
    {
        foreach (L2Table table in All)
        {
            table.Dirty.Settle(succeeded);
        }

        l1.Settle(succeeded);
        Volatile.Write(ref _hasChanges, _hasChanges || !succeeded);
        return TakeRoomWaiters();
    }

    /// <summary>Waits until a table may be replaced; under the lock.</summary>
    public IoTask<int> WaitForRoom() => QueueWaiter.Join(ref _roomWaiters);

    /// <summary>The waiters for room, to be woken outside the lock; under the lock.</summary>
    public QueueWaiter? TakeRoomWaiters() => QueueWaiter.TakeAll(ref _roomWaiters);

    /// <inheritdoc/>
    public void Dispose() => All.ForEach(table => table.Dispose());
}
