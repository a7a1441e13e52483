using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.State;

namespace Ublk.Qcow2.Metadata;

/// <summary>Writes metadata back in an order that a power cut at any instant can do no harm to: at worst, clusters are lost.</summary>
/// <remarks>
/// <para>What is pointed to is durable before what points to it:</para>
/// <list type="number">
/// <item>data, reference counts, and L2 tables that nothing points to yet;</item>
/// <item>the refcount table's entries of new blocks, if there are any;</item>
/// <item>changed L2 tables, and the L1 table's entries of new ones;</item>
/// <item>clusters that are not pointed to any more become free.</item>
/// </list>
/// <para>Each step ends with fdatasync(2). Callers that arrive during a flush share the next one.</para>
/// </remarks>
/// <param name="image">The image.</param>
/// <param name="tables">Its L2 tables.</param>
/// <param name="refcounts">Its reference counts; owned by this object.</param>
/// <param name="punchesHoles">Whether free clusters become holes of the host's file.</param>
internal sealed class MetadataFlusher(ImageState image, L2Tables tables, RefcountCache refcounts, bool punchesHoles) : IDisposable
{
    // Ranges of clusters that become free after a flush: enough to keep up with what is discarded between two, and few enough to wait for.
    private const int ReclaimedRanges = 1024;

    // The result of a waiting caller that must run the next flush for all waiting callers.
    private const int Lead = 1;

    private readonly Lock _lock = new();
    private readonly StagedWrites _first = new(image.Chunks);
    private readonly StagedWrites _refcountTable = new(image.Chunks);
    private readonly StagedWrites _changes = new(image.Chunks);
    private QueueWaiter? _waiting;
    private bool _isRunning;

    /// <summary>Gives out clusters, and takes those back that a flush sets free.</summary>
    public ClusterAllocator Allocator { get; } = new(image, refcounts, punchesHoles);

    /// <summary>Whether a flush would do more than make data durable.</summary>
    public bool HasChanges => tables.HasChanges || Volatile.Read(ref _isRunning);

    /// <summary>Makes everything that was written, and all that points to it, durable.</summary>
    /// <returns>0 or a negative errno.</returns>
    public async IoTask<int> FlushAsync()
    {
        if (image.Health.Failure != 0)
        {
            return image.Health.Failure;
        }

        int result = !HasChanges ? await SyncAsync()
            : TryBegin(out IoTask<int> wait) ? await RunAsync()
            : await wait;
        result = result == Lead ? await RunAsync() : result;
        if (result == 0)
        {
            // A cluster that cannot be freed is lost, which does no harm to the flush.
            await Allocator.ReclaimAsync(ReclaimedRanges);
        }

        return result;
    }

    /// <summary>Writes the remaining reference counts; for the end, when no request is left.</summary>
    public async IoTask<int> FinishAsync()
    {
        int result = image.Health.Failure;

        // Epochs go on by themselves now; what they set free changes counts once more.
        for (int round = 0; round < 2 && result == 0; round++)
        {
            tables.NoteChange();
            result = await FlushAsync();
            image.Epochs.TryAdvance();
            image.Epochs.TryAdvance();
            result = result < 0 ? result : await Allocator.ReclaimAsync(int.MaxValue);
        }

        return result;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        ClearStaged();
        refcounts.Dispose();
    }

    private bool TryBegin(out IoTask<int> wait)
    {
        lock (_lock)
        {
            bool canBegin = !_isRunning;
            wait = canBegin ? default : QueueWaiter.Join(ref _waiting);
            Volatile.Write(ref _isRunning, true);
            return canBegin;
        }
    }

    private async IoTask<int> RunAsync()
    {
        // An exception is a failed flush: all waiting callers get the error, and the next flush tries again.
        int result = -Libc.EIO;
        QueueWaiter? followers = null;
        try
        {
            followers = await StageAsync();
            return result = await WriteAsync();
        }
        finally
        {
            try
            {
                QueueWaiter.WakeAll(await SettleAsync(result == 0), 0);
            }
            finally
            {
                image.Statistics.MetadataFlushes.Add();
                QueueWaiter.WakeAll(followers, result);
                End();
            }
        }
    }

    private async IoTask<QueueWaiter?> StageAsync()
    {
        await Allocator.Mutex.EnterAsync();
        using AsyncMutex.Turn turn = new(Allocator.Mutex);
        QueueWaiter? followers;
        lock (_lock)
        {
            // Before staging: a caller that starts to wait after it would share a flush without its own writes.
            followers = QueueWaiter.TakeAll(ref _waiting);
        }

        try
        {
            refcounts.Stage(_first, _refcountTable);
            lock (image.Lock)
            {
                tables.Stage(_first, _changes);
                image.Freed.BeginFlush();
                image.Journal?.BeginFlush();
            }

            return followers;
        }
        catch
        {
            QueueWaiter.WakeAll(followers, -Libc.EIO);
            throw;
        }
    }

    private async IoTask<QueueWaiter?> SettleAsync(bool succeeded)
    {
        await Allocator.Mutex.EnterAsync();
        using AsyncMutex.Turn turn = new(Allocator.Mutex);
        ClearStaged();
        refcounts.Settle(succeeded);
        lock (image.Lock)
        {
            image.Journal?.EndFlush(succeeded);
            image.Freed.EndFlush(succeeded, image.Epochs.Current);
            return tables.Settle(succeeded);
        }
    }

    // One waiting caller runs the next flush for all.
    private void End()
    {
        QueueWaiter? leader;
        lock (_lock)
        {
            leader = _waiting;
            if (leader is null)
            {
                Volatile.Write(ref _isRunning, false);
                return;
            }

            _waiting = leader.Next;
            leader.Next = null;
        }

        leader.Wake(Lead);
    }

    private async IoTask<int> WriteAsync()
    {
        int result = await WriteAsync(_first);
        if (result == 0 && !_refcountTable.IsEmpty)
        {
            result = await WriteAsync(_refcountTable);
        }

        if (result == 0 && !_changes.IsEmpty)
        {
            // Even if this fails half-way, the file may point to them.
            lock (image.Lock)
            {
                tables.ConfirmNew();
            }

            result = await WriteAsync(_changes);
        }

        return result;
    }

    private async IoTask<int> WriteAsync(StagedWrites writes)
    {
        int result = await writes.WriteAsync(image.File);
        return result < 0 ? result : await SyncAsync();
    }

    // The kernel reports lost data to one caller only and success afterwards, and the lost data may belong to any request.
    private async IoTask<int> SyncAsync()
    {
        int result = image.HasDataFile ? await image.DataFile.SyncAsync() : 0;
        result = result < 0 ? result : await image.File.SyncAsync();
        return result < 0 ? image.Health.MarkLost(result) : image.Health.Failure;
    }

    private void ClearStaged()
    {
        _first.Clear();
        _refcountTable.Clear();
        _changes.Clear();
    }
}
