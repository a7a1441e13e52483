using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Metadata;

/// <summary>Finds L2 tables by their L1 entry; reads them from the file, and replaces those not used for longest.</summary>
/// <param name="image">The image.</param>
/// <param name="tables">The tables in memory; owned by this object.</param>
/// <param name="flusher">What writes them back when all have changed; null for an image that is only read.</param>
/// <param name="capacity">Tables to keep in memory, at least 2.</param>
internal sealed class L2Cache(ImageState image, L2Tables tables, MetadataFlusher? flusher, int capacity) : IDisposable
{
    private readonly ClusterLayout _layout = image.Layout;
    private readonly L2Table?[] _byL1 = new L2Table?[tables.L1.Entries.Length];
    private int _hand;

    /// <summary>What points to the tables; see <see cref="L1Of"/>.</summary>
    public EntryTable L1 => tables.L1;

    /// <summary>An entry of the L1 table.</summary>
    public L1Entry L1Of(int l1Index) => new(tables.L1[l1Index]);

    /// <summary>Notes that an entry was changed; under the lock.</summary>
    public void NoteChange() => tables.NoteChange();

    /// <summary>The table of an L1 entry if it is in memory.</summary>
    public L2Table? Find(int l1Index) => Volatile.Read(ref _byL1[l1Index]);

    /// <summary>Brings a table into memory. It may be evicted before the caller looks for it, which then tries again.</summary>
    /// <returns>0 or a negative errno; -EIO too where the L1 table lies.</returns>
    public async IoTask<int> LoadAsync(int l1Index)
    {
        IoTask<int> wait = TryBegin(l1Index, out L2Table? table);
        while (table is null)
        {
            int result = await wait;
            if (result < 0 || Find(l1Index) is not null)
            {
                return result;
            }

            wait = TryBegin(l1Index, out table);
        }

        int read = -Libc.EIO;
        try
        {
            return read = IsInvalid(l1Index)
                ? await image.Health.MarkCorruptAsync()
                : await image.File.ReadAsync(table.Buffer.Part(0, _layout.ClusterSize), table.HostOffset);
        }
        finally
        {
            Install(table, l1Index, read);
        }
    }

    /// <summary>Takes memory for a table that is to be made. It is given to <see cref="Publish"/> or <see cref="Trim"/>.</summary>
    /// <param name="table">The memory; null where all is in use, until the returned task completes with 0.</param>
    public IoTask<int> TakeAsync(out L2Table? table)
    {
        lock (image.Lock)
        {
            table = TryTake();
        }

        return table is null ? MakeRoom() : 0;
    }

    /// <summary>Shows a table that was made, and points its L1 entry to it; under the lock.</summary>
    public void Publish(L2Table table, int l1Index, long hostOffset)
    {
        table.IsLoading = false;
        table.Assign(l1Index, hostOffset);
        tables.MarkNew(table);
        Volatile.Write(ref _byL1[l1Index], table);
        SetL1(l1Index, hostOffset);
    }

    /// <summary>Gives a table a place of its own, instead of one that something else refers to; under the lock.</summary>
    public void Move(L2Table table, long hostOffset)
    {
        table.HostOffset = hostOffset;
        tables.MarkNew(table);
        SetL1(table.L1Index, hostOffset);
    }

    /// <summary>Gives back what <see cref="TakeAsync"/> took.</summary>
    public void Trim(L2Table table)
    {
        QueueWaiter? waiters;
        lock (image.Lock)
        {
            table.IsLoading = false;
            waiters = tables.TakeRoomWaiters();
        }

        QueueWaiter.WakeAll(waiters, 0);
    }

    /// <inheritdoc/>
    public void Dispose() => tables.Dispose();

    // The header is at 0; a copied bit alone does not make it a table.
    private bool IsInvalid(int l1Index) =>
        L1Of(l1Index).Offset is var place && (place == 0 || !_layout.IsAligned(place) || place >= image.File.Length);

    private void SetL1(int l1Index, long hostOffset)
    {
        tables.L1.Set(l1Index, L1Entry.At(hostOffset).Raw);
        image.Journal?.AddTable(l1Index, hostOffset);
    }

    private IoTask<int> TryBegin(int l1Index, out L2Table? begun)
    {
        begun = null;
        lock (image.Lock)
        {
            if (_byL1[l1Index] is not null)
            {
                return 0;
            }

            foreach (L2Table table in tables.All)
            {
                if (table.IsLoading && table.L1Index == l1Index)
                {
                    return QueueWaiter.Join(ref table.Waiters);
                }
            }

            begun = TryTake();
            if (begun is not null)
            {
                // Readers that still know the table by its former use must not take for whole what is being read.
                begun.Assign(l1Index, L1Of(l1Index).Offset);
                begun.BeginChange();
                image.Statistics.CacheMisses.Add();
                return 0;
            }
        }

        return MakeRoom();
    }

    private void Install(L2Table table, int l1Index, int result)
    {
        QueueWaiter? waiters;
        QueueWaiter? roomWaiters;
        lock (image.Lock)
        {
            table.IsLoading = false;
            waiters = QueueWaiter.TakeAll(ref table.Waiters);
            table.EndChange();
            if (result == 0)
            {
                Volatile.Write(ref _byL1[l1Index], table);
            }
            else
            {
                table.Assign(-1, 0);
            }

            roomWaiters = tables.TakeRoomWaiters();
        }

        QueueWaiter.WakeAll(waiters, result);
        QueueWaiter.WakeAll(roomWaiters, 0);
    }

    // A table that is marked as loading, or null where all are in use.
    private L2Table? TryTake()
    {
        if (tables.All.Count < capacity)
        {
            L2Table added = new(_layout.ClusterSize, _layout.HasExtendedL2) { IsLoading = true };
            tables.All.Add(added);
            return added;
        }

        for (int tries = 0; tries < 2 * tables.All.Count; tries++)
        {
            _hand = _hand + 1 >= tables.All.Count ? 0 : _hand + 1;
            L2Table table = tables.All[_hand];
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
    private IoTask<int> MakeRoom()
    {
        if (flusher is not null && tables.HasChanges)
        {
            return flusher.FlushAsync();
        }

        lock (image.Lock)
        {
            return tables.HasChanges || tables.All.Exists(table => !table.IsLoading && table.Dirty.IsClean)
                ? 0
                : tables.WaitForRoom();
        }
    }
}
