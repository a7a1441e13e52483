using Ublk.Catalog;
using Ublk.Files;
using Ublk.Serving;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Targets.Qcow2;

namespace Ublk.Live;

/// <summary>A disk that is served, and that commands change. No request fails by it, and none is lost.</summary>
/// <remarks>
/// The record names the new disk before a request reaches that, and after it is open and fits. A process that is killed at any moment
/// leaves a record of a disk that has all completed writes. Used by one thread at a time, never by a queue thread.
/// </remarks>
internal sealed class LiveDisk
{
    // Longer than storage takes that works. New requests wait as long.
    private static readonly TimeSpan HoldTimeout = TimeSpan.FromSeconds(10);

    // For a job of a killed command that still has the file. New requests wait as long.
    private static readonly TimeSpan ReopenTimeout = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan ReopenInterval = TimeSpan.FromMilliseconds(100);

    private readonly TargetSwitch _targets;
    private readonly ILiveHost _host;
    private bool _isHeld;

    // Both files have the same content, and either can be the disk.
    private DiskCopy? _copy;

    private DiskBackup? _backup;
    private DiskMirror? _mirror;

    /// <summary>Takes the disk that the queues serve.</summary>
    public LiveDisk(OpenedDisk disk, TargetSwitch targets, ILiveHost host) => (Disk, _targets, _host) = (disk, targets, host);

    /// <summary>What the device stands for now.</summary>
    public OpenedDisk Disk { get; private set; }

    /// <summary>Whether that is open.</summary>
    public bool IsOpen { get; private set; } = true;

    /// <summary>Whether the next order of a command may take any time: until then no request waits, or the disk cannot be opened.</summary>
    public bool IsPatient => !IsOpen || (_backup is not null && !_isHeld);

    private int Id => Disk.Specification.Id!.Value;

    /// <summary>Carries out a command.</summary>
    /// <param name="order">The command.</param>
    /// <param name="report">Called with what it does now.</param>
    /// <param name="check">Called while it waits; throws where the command is to end.</param>
    /// <exception cref="UblkException">It cannot be done; the disk is as it was, and requests that were held still are.</exception>
    public void Run(LiveOrder order, Action<LiveReport> report, Action check)
    {
        if (_mirror is { } mirror && order.Action != LiveAction.Settle)
        {
            throw mirror.State.Refusal(Id);
        }

        switch (order.Action)
        {
            case LiveAction.Exchange when !_isHeld:
                Exchange(order.Specification!.Filters);
                break;
            case LiveAction.Hold when !_isHeld:
                Hold(report, check);
                break;
            case LiveAction.Close when _copy is { } copy:
                GiveUp(copy, report);
                break;
            case LiveAction.Close when _isHeld && IsOpen:
                Close(report);
                break;
            case LiveAction.Open when _isHeld && !IsOpen:
                report(Step($"Opening {order.Specification!.BackingPath}."));
                Open(order.Specification);
                break;
            case LiveAction.Open when _copy is { } copy:
                Take(copy);
                break;
            case LiveAction.Merge when _isHeld && !IsOpen:
                Merge(order.Specification!, report, check);
                break;
            case LiveAction.Move when !_isHeld:
                Move(order, report, check);
                break;
            case LiveAction.Mirror when _copy is DiskMove move:
                Mirror(move);
                break;
            case LiveAction.Settle when !_isHeld:
                Settle(order.Leg, report, check);
                break;
            case LiveAction.Backup when !_isHeld && _backup is null:
                report(Step($"Creating {order.Backup!.Path}."));
                _backup = DiskBackup.Begin(Disk, order.Backup);
                break;
            case LiveAction.Copy when _isHeld && IsOpen && _backup is { IsCopied: false } backup:
                Copy(backup, report, check);
                break;
            case LiveAction.Finish when _backup is { IsCopied: true } backup:
                backup.Finish();
                break;
            case LiveAction.Pull when !_isHeld && Disk.Bare is Qcow2Target image:
                Pull(image, report, check);
                break;
            default:
                throw new UblkException(UblkError.InvalidArgument,
                    $"The worker of device {Id} cannot carry out {order.Action} now: the command seems to be of another version. Replace "
                        + $"the worker: Update-UblkDevice {Id}",
                    deviceId: Id);
        }
    }

    /// <summary>Ends a command, however far it got: the disk is open, and requests go on.</summary>
    public void End()
    {
        if (_copy is { } copy)
        {
            Decide(copy);
        }

        if (!IsOpen)
        {
            Reopen();
        }

        if (_isHeld)
        {
            _isHeld = false;
            _targets.Release(Disk.Target);
        }

        _backup?.Dispose();
        _backup = null;
    }

    private static LiveReport Step(string sentence) => new() { Step = sentence };

    // Of the disk, by a position on it.
    private Action<long> ReportPercent(Action<LiveReport> report) => ReportPercent(report, Disk.Target.Geometry.Size);

    private static Action<long> ReportPercent(Action<LiveReport> report, long size)
    {
        int last = -1;
        return position =>
        {
            int percent = (int)(position * 100.0 / size);
            if (percent != last)
            {
                last = percent;
                report(new LiveReport { Percent = percent });
            }
        };
    }

    private void Hold(Action<LiveReport> report, Action check)
    {
        report(Step("New requests wait for those in flight."));
        _targets.Hold(Disk.Target, HoldTimeout, check);
        _isHeld = true;
    }

    private void Exchange(IReadOnlyList<UblkFilter> filters)
    {
        OpenedDisk former = Disk;
        OpenedDisk next = former.WithFilters(filters);
        _host.Record(next);
        Disk = next;
        _targets.Exchange(next.Target);
        FilterStack.Retire(former.Target, former.Storage);
    }

    // A flush that the disk's client sends later reaches the next target alone, and must cover what was written to this one.
    private void Close(Action<LiveReport> report)
    {
        RequireServed(Disk);
        report(Step($"Closing {Disk.Target.BackingPath}."));
        if (!Disk.Target.Geometry.ReadOnly)
        {
            _targets.Flush(Disk.Storage);
        }

        IsOpen = false;
        using BlockTarget target = Disk.Target;
        try
        {
            _targets.Detach();
        }
        finally
        {
            target.Finish();
        }
    }

    private void Open(DeviceSpecification specification)
    {
        OpenedDisk next = _host.Open(specification, Disk.Generation + 1, isReopened: false);
        try
        {
            _host.RequireFit(next);
            _targets.Attach(next.Target);
            _host.Record(next);
        }
        catch
        {
            // The rings may have its files, which keeps a block device open that is opened exclusively.
            _targets.Detach();
            next.Target.Dispose();
            throw;
        }

        Disk = next;
        IsOpen = true;
    }

    private void Merge(DeviceSpecification specification, Action<LiveReport> report, Action check)
    {
        DiskMerge merge = DiskMerge.Open(_host, Disk, specification);
        try
        {
            RequireServed(Disk, merge.Disk.File);

            _targets.Attach(merge.Disk.Target);
        }
        catch
        {
            merge.Dispose();
            throw;
        }

        Disk = merge.Disk;
        IsOpen = true;
        _isHeld = false;
        _targets.Release(Disk.Target);
        Copy(merge, report, check);
    }

    private void Move(LiveOrder order, Action<LiveReport> report, Action check)
    {
        DeviceSpecification next = order.Specification!;
        report(Step($"Opening {next.BackingPath ?? $"the disk of the target {next.Target}"}."));
        DiskMove move = DiskMove.Open(_host, Disk, next, order.Move!);
        try
        {
            // A change that is under way would not be noted.
            Hold(report, check);
        }
        catch
        {
            move.Dispose();
            throw;
        }

        Disk = move.Disk;
        _isHeld = false;
        _targets.Release(Disk.Target);
        Copy(move, report, check);
    }

    private void Copy(DiskCopy copy, Action<LiveReport> report, Action check)
    {
        try
        {
            report(Step($"Copying {Disk.Target.BackingPath} to {copy.Next.Target.BackingPath}."));
            copy.Run(ReportPercent(report), check, () => Hold(report, check));
            _copy = copy;
        }
        catch
        {
            GiveUp(copy, report);
            throw;
        }
    }

    private void Copy(DiskBackup backup, Action<LiveReport> report, Action check)
    {
        long length = backup.Start();
        _isHeld = false;
        _targets.Release(backup.Target);
        try
        {
            report(Step($"Copying {Disk.Target.BackingPath} to {backup.Order.Path}."));
            backup.Copy(_targets, ReportPercent(report, length), check);
        }
        finally
        {
            _targets.Exchange(Disk.Target);
        }
    }

    private void GiveUp(DiskCopy copy, Action<LiveReport> report)
    {
        _copy = null;
        if (copy.Former is { } former)
        {
            Disk = former;
            if (!_isHeld)
            {
                _targets.Exchange(former.Target);
            }

            copy.Dispose();
            return;
        }

        // Requests that cannot be held, or an image that cannot be flushed: the disk is then served as it is, over the open backing file.
        try
        {
            if (!_isHeld)
            {
                Hold(report, static () => { });
            }

            Close(report);
            copy.Dispose();
        }
        catch (UblkException exception)
        {
            report(Step($"{Disk.Target.BackingPath} stays open for the merge: {exception.Message}"));
        }
    }

    // From the record on the other place is the disk, and the former is not written any more.
    private void Take(DiskCopy copy)
    {
        _host.Record(copy.Next);
        _copy = null;
        Disk = copy.Next;
        IsOpen = false;
        try
        {
            _targets.Detach();
            copy.CloseDisk();
            _targets.Attach(Disk.Target);
            IsOpen = true;
        }
        catch
        {
            Disk.Target.Dispose();
            throw;
        }
    }

    private void Mirror(DiskMove move)
    {
        DiskMirror mirror = new(move.Former, move.Next, _host);
        try
        {
            _targets.Attach(mirror.Disk.Target);
            _host.Record(mirror.Disk);
        }
        catch
        {
            _targets.Attach(move.Former.Target);
            throw;
        }

        _copy = null;
        _mirror = mirror;
        Disk = mirror.Disk;
    }

    // From the record on one place is the disk, and the other is not written any more. It is opened anew: its operations may have counted
    // the files of the other.
    private void Settle(int leg, Action<LiveReport> report, Action check)
    {
        if (_mirror is not { } mirror)
        {
            Disk.Mirror?.RequireInSync(Id, leg);
            OpenedDisk disk = Disk with { Mirror = null };
            _host.Record(disk);
            Disk = disk;
            return;
        }

        OpenedDisk kept = mirror.Keep(leg);
        RequireServed(kept);
        Hold(report, check);

        // A place that cannot be flushed is dropped.
        _targets.Flush(Disk.Storage);
        kept = mirror.Keep(leg);
        _host.Record(kept);
        report(Step($"Opening {kept.Target.BackingPath}."));
        _mirror = null;
        IsOpen = false;
        Disk = kept;
        try
        {
            _targets.Detach();
        }
        finally
        {
            mirror.Close(leg);
        }

        Reopen();
    }

    // The command ended without a word. The next boot must find the file that is written from now on.
    private void Decide(DiskCopy copy)
    {
        try
        {
            if (_host.IsRegistered(copy.Next))
            {
                Take(copy);
                return;
            }
        }
        catch (UblkException)
        {
            // It is opened anew, if it is not open.
        }

        if (IsOpen)
        {
            GiveUp(copy, static _ => { });
        }
    }

    private void Pull(Qcow2Target image, Action<LiveReport> report, Action check)
    {
        report(Step($"Copying what is under {image.BackingPath} into it."));
        using CopyQueue queue = new(Disk.Target);
        long size = Disk.Target.Geometry.Size;
        Action<long> advance = ReportPercent(report);
        for (long offset = 0; offset < size; offset += CopyQueue.MaxLength)
        {
            check();
            advance(offset);
            queue.Run((int)long.Min(CopyQueue.MaxLength, size - offset), (_, buffer) => image.PullAsync(offset, buffer),
                $"What is under {image.BackingPath} cannot be copied into it");
        }
    }

    private void Reopen()
    {
        try
        {
            OpenedDisk next = OpenUnused();
            RequireServed(Disk, next.File);

            _targets.Attach(next.Target);
            Disk = next;
            IsOpen = true;
        }
        catch (UblkException exception)
        {
            _host.Abort(exception);
        }
    }

    // Whoever has the file may be writing it: a lock is waited for, and not ignored.
    private OpenedDisk OpenUnused()
    {
        Deadline deadline = new(ReopenTimeout);
        while (true)
        {
            try
            {
                return _host.Open(Disk.Specification, Disk.Generation, isReopened: true);
            }
            catch (UblkException exception) when (exception.Error == UblkError.BackingFileInUse && !deadline.IsOver)
            {
                Thread.Sleep(ReopenInterval);
            }
        }
    }

    // The file may have been renamed, and the path may lead to another one, which has other data.
    private void RequireServed(OpenedDisk disk) => RequireServed(disk, FileIdentity.Of(disk.Target.BackingPath));

    private void RequireServed(OpenedDisk disk, FileIdentity? found)
    {
        if (disk.File is { } served && found?.Matches(served) != true)
        {
            throw new UblkException(UblkError.InvalidBackingFile,
                $"{disk.Target.BackingPath} is not the file that device {Id} serves: it was moved, removed or replaced. Put it back first.",
                deviceId: Id);
        }
    }
}
