using System.Runtime.CompilerServices;
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
internal sealed class MetadataFlusher : IDisposable
{
    // Ranges of clusters that become free after a flush: enough to keep up with what is discarded between two, and few enough to wait for.
    private const int ReclaimedRanges = 1024;

    // The result of a waiting caller that must run the next flush for all waiting callers.
    private const int Lead = 1;

    private readonly Lock _lock = new();
    private readonly ImageState _image;
    private readonly L2Cache _tables;
    private readonly RefcountCache _refcounts;
    private readonly ClusterAllocator _allocator;
    private readonly StagedWrites _first;
    private readonly StagedWrites _refcountTable;
    private readonly StagedWrites _changes;
    private QueueWaiter? _waiting;
    private bool _isRunning;

    /// <summary>Wraps an image's metadata.</summary>
    public MetadataFlusher(ImageState image, L2Cache tables, RefcountCache refcounts, ClusterAllocator allocator)
    {
        _image = image;
        _tables = tables;
        _refcounts = refcounts;
        _allocator = allocator;
        _first = new StagedWrites(image.Chunks);
        _refcountTable = new StagedWrites(image.Chunks);
        _changes = new StagedWrites(image.Chunks);
    }

    /// <summary>Whether a flush would do more than make data durable.</summary>
    public bool HasChanges => _tables.HasChanges || Volatile.Read(ref _isRunning);

    /// <summary>Makes everything that was written, and all that points to it, durable.</summary>
    /// <returns>0 or a negative errno.</returns>
    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    public async ValueTask<int> FlushAsync(IoQueue? queue)
    {
        if (_image.Health.Failure != 0)
        {
            return _image.Health.Failure;
        }

        int result = !HasChanges ? await SyncAsync(queue)
            : TryBegin(queue, out QueueWaiter? waiter) ? await RunAsync(queue)
            : await waiter!.Task;
        result = result == Lead ? await RunAsync(queue) : result;
        if (result == 0)
        {
            // A cluster that cannot be freed is lost, which does no harm to the flush.
            await _allocator.ReclaimAsync(queue, ReclaimedRanges);
        }

        return result;
    }

    /// <summary>Writes the remaining reference counts; for the end, when no request is left.</summary>
    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    public async ValueTask<int> FinishAsync()
    {
        int result = _image.Health.Failure;

        // Epochs go on by themselves now; what they set free changes counts once more.
        for (int round = 0; round < 2 && result == 0; round++)
        {
            _tables.NoteChange();
            result = await FlushAsync(null);
            _image.Epochs.TryAdvance();
            _image.Epochs.TryAdvance();
            result = result < 0 ? result : await _allocator.ReclaimAsync(null, int.MaxValue);
        }

        return result;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _first.Clear();
        _refcountTable.Clear();
        _changes.Clear();
    }

    private bool TryBegin(IoQueue? queue, out QueueWaiter? waiter)
    {
        lock (_lock)
        {
            waiter = null;
            if (!_isRunning)
            {
                Volatile.Write(ref _isRunning, true);
                return true;
            }

            waiter = QueueWaiter.Rent(queue);
            waiter.Next = _waiting;
            _waiting = waiter;
            return false;
        }
    }

    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<int> RunAsync(IoQueue? queue)
    {
        // An exception is a failed flush: all waiting callers get the error, and the next flush tries again.
        int result = -Libc.EIO;
        QueueWaiter? followers = null;
        try
        {
            followers = await StageAsync(queue);
            return result = await WriteAsync(queue);
        }
        finally
        {
            try
            {
                QueueWaiter.WakeAll(await SettleAsync(queue, result == 0), 0);
            }
            finally
            {
                _image.Statistics.MetadataFlushes.Add();
                QueueWaiter.WakeAll(followers, result);
                End();
            }
        }
    }

    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<QueueWaiter?> StageAsync(IoQueue? queue)
    {
        await _allocator.Mutex.EnterAsync(queue);
        try
        {
            // In this order: a caller that starts to wait after staging would share a flush without its own writes.
            QueueWaiter? followers = TakeFollowers();
            try
            {
                Stage();
                return followers;
            }
            catch
            {
                QueueWaiter.WakeAll(followers, -Libc.EIO);
                throw;
            }
        }
        finally
        {
            _allocator.Mutex.Exit();
        }
    }

    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<QueueWaiter?> SettleAsync(IoQueue? queue, bool succeeded)
    {
        await _allocator.Mutex.EnterAsync(queue);
        try
        {
            return Settle(succeeded);
        }
        finally
        {
            _allocator.Mutex.Exit();
        }
    }

    // Callers that wait now share the flush that begins. Later callers may have writes that it does not include.
    private QueueWaiter? TakeFollowers()
    {
        lock (_lock)
        {
            QueueWaiter? followers = _waiting;
            _waiting = null;
            return followers;
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

    private void Stage()
    {
        _refcounts.Stage(_first, _refcountTable);
        lock (_image.Lock)
        {
            _tables.Stage(_first, _changes, _changes);
            _image.Freed.BeginFlush();
            _image.Journal?.BeginFlush();
        }
    }

    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<int> WriteAsync(IoQueue? queue)
    {
        int result = await WriteAsync(queue, _first);
        if (result == 0 && !_refcountTable.IsEmpty)
        {
            result = await WriteAsync(queue, _refcountTable);
        }

        if (result == 0 && !_changes.IsEmpty)
        {
            // Even if this fails half-way, the file may point to them.
            lock (_image.Lock)
            {
                _tables.ConfirmNew();
            }

            result = await WriteAsync(queue, _changes);
        }

        return result;
    }

    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<int> WriteAsync(IoQueue? queue, StagedWrites writes)
    {
        int result = await writes.WriteAsync(queue, _image.File);
        return result < 0 ? result : await SyncAsync(queue);
    }

    // The kernel reports lost data to one caller only and success afterwards, and the lost data may belong to any request.
    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<int> SyncAsync(IoQueue? queue)
    {
        int result = _image.HasDataFile ? await _image.DataFile.SyncAsync(queue) : 0;
        result = result < 0 ? result : await _image.File.SyncAsync(queue);
        return result < 0 ? _image.Health.MarkLost(result) : _image.Health.Failure;
    }

    private QueueWaiter? Settle(bool succeeded)
    {
        _first.Clear();
        _refcountTable.Clear();
        _changes.Clear();
        _refcounts.Settle(succeeded);
        lock (_image.Lock)
        {
            _image.Journal?.EndFlush(succeeded);
            _image.Freed.EndFlush(succeeded, _image.Epochs.Current);
            return _tables.Settle(succeeded);
        }
    }
}
