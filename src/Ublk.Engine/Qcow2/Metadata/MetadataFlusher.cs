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
    private readonly L2Tables _tables;
    private readonly RefcountCache _refcounts;
    private readonly StagedWrites _first;
    private readonly StagedWrites _refcountTable;
    private readonly StagedWrites _changes;
    private QueueWaiter? _waiting;
    private bool _isRunning;

    /// <summary>Wraps an image's metadata.</summary>
    /// <param name="image">The image.</param>
    /// <param name="tables">Its L2 tables.</param>
    /// <param name="refcounts">Its reference counts; go with this.</param>
    /// <param name="punchesHoles">Whether free clusters become holes of the host's file.</param>
    public MetadataFlusher(ImageState image, L2Tables tables, RefcountCache refcounts, bool punchesHoles)
    {
        _image = image;
        _tables = tables;
        _refcounts = refcounts;
        Allocator = new ClusterAllocator(image, refcounts, punchesHoles);
        _first = new StagedWrites(image.Chunks);
        _refcountTable = new StagedWrites(image.Chunks);
        _changes = new StagedWrites(image.Chunks);
    }

    /// <summary>Gives out clusters, and takes those back that a flush sets free.</summary>
    public ClusterAllocator Allocator { get; }

    /// <summary>Whether a flush would do more than make data durable.</summary>
    public bool HasChanges => _tables.HasChanges || Volatile.Read(ref _isRunning);

    /// <summary>Makes everything that was written, and all that points to it, durable.</summary>
    /// <returns>0 or a negative errno.</returns>
    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    public async ValueTask<int> FlushAsync()
    {
        if (_image.Health.Failure != 0)
        {
            return _image.Health.Failure;
        }

        int result = !HasChanges ? await SyncAsync()
            : TryBegin(out QueueWaiter? waiter) ? await RunAsync()
            : await waiter!.Task;
        result = result == Lead ? await RunAsync() : result;
        if (result == 0)
        {
            // A cluster that cannot be freed is lost, which does no harm to the flush.
            await Allocator.ReclaimAsync(ReclaimedRanges);
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
            result = await FlushAsync();
            _image.Epochs.TryAdvance();
            _image.Epochs.TryAdvance();
            result = result < 0 ? result : await Allocator.ReclaimAsync(int.MaxValue);
        }

        return result;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _first.Clear();
        _refcountTable.Clear();
        _changes.Clear();
        _refcounts.Dispose();
    }

    private bool TryBegin(out QueueWaiter? waiter)
    {
        lock (_lock)
        {
            waiter = null;
            if (!_isRunning)
            {
                Volatile.Write(ref _isRunning, true);
                return true;
            }

            waiter = QueueWaiter.Rent();
            waiter.Next = _waiting;
            _waiting = waiter;
            return false;
        }
    }

    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<int> RunAsync()
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
                _image.Statistics.MetadataFlushes.Add();
                QueueWaiter.WakeAll(followers, result);
                End();
            }
        }
    }

    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<QueueWaiter?> StageAsync()
    {
        await Allocator.Mutex.EnterAsync();
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
            Allocator.Mutex.Exit();
        }
    }

    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<QueueWaiter?> SettleAsync(bool succeeded)
    {
        await Allocator.Mutex.EnterAsync();
        try
        {
            return Settle(succeeded);
        }
        finally
        {
            Allocator.Mutex.Exit();
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
    private async ValueTask<int> WriteAsync()
    {
        int result = await WriteAsync(_first);
        if (result == 0 && !_refcountTable.IsEmpty)
        {
            result = await WriteAsync(_refcountTable);
        }

        if (result == 0 && !_changes.IsEmpty)
        {
            // Even if this fails half-way, the file may point to them.
            lock (_image.Lock)
            {
                _tables.ConfirmNew();
            }

            result = await WriteAsync(_changes);
        }

        return result;
    }

    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<int> WriteAsync(StagedWrites writes)
    {
        int result = await writes.WriteAsync(_image.File);
        return result < 0 ? result : await SyncAsync();
    }

    // The kernel reports lost data to one caller only and success afterwards, and the lost data may belong to any request.
    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<int> SyncAsync()
    {
        int result = _image.HasDataFile ? await _image.DataFile.SyncAsync() : 0;
        result = result < 0 ? result : await _image.File.SyncAsync();
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
