using Ublk.Catalog;
using Ublk.Files;
using Ublk.Serving;
using Ublk.Specification;
using Ublk.Targets;

namespace Ublk.Live;

/// <summary>A disk that is served, and that commands change. No request fails by it, and none is lost.</summary>
/// <remarks>
/// The record names the new disk before a request reaches that, and after it is open and fits. A process that is killed at any moment
/// leaves a record whose disk has all that was answered. Used by one thread at a time, which is none of the queues'.
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

    /// <summary>Takes the disk that the queues serve.</summary>
    public LiveDisk(OpenedDisk disk, TargetSwitch targets, ILiveHost host) => (Disk, _targets, _host) = (disk, targets, host);

    /// <summary>What the device stands for now.</summary>
    public OpenedDisk Disk { get; private set; }

    /// <summary>Whether that is open.</summary>
    public bool IsOpen { get; private set; } = true;

    private int Id => Disk.Specification.Id!.Value;

    /// <summary>Carries out a command.</summary>
    /// <param name="order">The command.</param>
    /// <param name="step">Called with a sentence for each step.</param>
    /// <param name="check">Called while it waits; throws where the command is to end.</param>
    /// <exception cref="UblkException">It cannot be done; the disk is as it was, and requests that were held still are.</exception>
    public void Run(LiveOrder order, Action<string> step, Action check)
    {
        switch (order.Action)
        {
            case LiveAction.Exchange when !_isHeld:
                Exchange(order.Specification!.Filters);
                break;
            case LiveAction.Hold when !_isHeld:
                step("New requests wait for those in flight.");
                _targets.Hold(Disk.Target, HoldTimeout, check);
                _isHeld = true;
                break;
            case LiveAction.Close when _isHeld && IsOpen:
                Close(step);
                break;
            case LiveAction.Open when _isHeld && !IsOpen:
                step($"Opening {order.Specification!.BackingPath}.");
                Open(order.Specification);
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
        if (!IsOpen)
        {
            Reopen();
        }

        if (_isHeld)
        {
            _isHeld = false;
            _targets.Release(Disk.Target);
        }
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
    private void Close(Action<string> step)
    {
        if (Disk.File is not null)
        {
            RequireServed(FileIdentity.Of(Disk.Target.BackingPath));
        }

        step($"Closing {Disk.Target.BackingPath}.");
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
            next.Target.Dispose();
            throw;
        }

        Disk = next;
        IsOpen = true;
    }

    private void Reopen()
    {
        try
        {
            OpenedDisk next = OpenUnused();
            if (Disk.File is not null)
            {
                RequireServed(next.File);
            }

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
    private void RequireServed(FileIdentity? found)
    {
        if (found is not { } file || !file.Matches(Disk.File!.Value))
        {
            throw new UblkException(UblkError.InvalidBackingFile,
                $"{Disk.Target.BackingPath} is not the file that device {Id} serves: it was moved, removed or replaced. Put it back first.",
                deviceId: Id);
        }
    }
}
