using Ublk.Catalog;
using Ublk.Io;
using Ublk.Live;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Targets.Qcow2;
using Ublk.Tests.Qcow2;

namespace Ublk.Tests.Live;

/// <summary>Where a worker dies.</summary>
public enum Step
{
    None, Held, Closed, Opening, Opened, Over, Copying, Rest, Recording, Recorded, Switched, Released,
}

internal sealed class KilledException : Exception;

/// <summary>Answers nothing that counts.</summary>
internal sealed class DeadTarget : BlockTarget
{
    public override TargetGeometry Geometry { get; } = new() { Size = 1 << 20 };

    public override IoTask<int> HandleAsync(IoRequest request) => -5;
}

/// <summary>A worker's part in a change, with a record in memory. It dies where a test wants it to.</summary>
internal sealed class TestHost(string folder) : ILiveHost
{
    private readonly List<OpenedDisk> _opened = [];

    public Step Death { get; set; }

    /// <summary>Whether it has died.</summary>
    public bool IsDead { get; private set; }

    public OpenedDisk? Recorded { get; private set; }

    /// <summary>How often a file was in use when the disk was to be opened.</summary>
    public int Refusals { get; private set; }

    /// <summary>Called with the number of each of these.</summary>
    public Action<int> Refused { get; set; } = _ => { };

    /// <summary>Puts something before each target that is opened.</summary>
    public Func<BlockTarget, BlockTarget> Wrap { get; set; } = target => target;

    /// <summary>Whether the record cannot be written.</summary>
    public bool IsRecordFull { get; set; }

    /// <summary>Opens the disk as its first worker does.</summary>
    public OpenedDisk Begin(DeviceSpecification specification) => Recorded = Open(specification, 0, isReopened: false);

    /// <summary>Opens the disk as the next worker does.</summary>
    public OpenedDisk Recover()
    {
        Death = Step.None;
        return Open(Recorded!.Specification, Recorded.Generation, isReopened: true);
    }

    /// <summary>Carries out an order of a command that copies the disk. The worker may die amid the copy, or after it.</summary>
    public void Run(LiveDisk live, LiveAction action, DeviceSpecification? specification = null) =>
        Run(live, new LiveOrder(action, specification) { Move = new MoveOrder(RandomClients.Size, IsBlank: true) });

    /// <summary>The same for any order.</summary>
    public void Run(LiveDisk live, LiveOrder order)
    {
        bool isCopying = false;
        live.Run(order, report =>
        {
            if (IsDead)
            {
                throw new KilledException();
            }

            isCopying |= report.Percent is not null;
            if (report.Percent >= 50)
            {
                Die(Step.Copying);
            }

            if (isCopying && report.Step is not null)
            {
                Die(Step.Rest);
            }
        }, () => { });
    }

    public void Die(Step step)
    {
        if (step == Death)
        {
            IsDead = true;
            throw new KilledException();
        }
    }

    /// <summary>Closes all files as the kernel does for a process that is killed. Nothing answers requests any more.</summary>
    public void Kill()
    {
        foreach (OpenedDisk disk in _opened)
        {
            if (disk.Bare is Qcow2Target image)
            {
                Qcow2Disk.Kill(image);
            }

            disk.Target.Dispose();
        }

        _opened.Clear();
        IsDead = false;
    }

    public OpenedDisk Open(
        DeviceSpecification specification, int generation, bool isReopened, BlockTarget? backing = null, int firstFile = 0)
    {
        Die(backing is null ? Step.Opening : Step.Over);
        if (!isReopened)
        {
            File.Delete($"{folder}/{generation}.state");
        }

        try
        {
            OpenedDisk opened = OpenedDisk.Open(
                specification, generation,
                new TargetOptions(specification.Options)
                {
                    QueueThreads = RandomClients.Queues,
                    StatePath = $"{folder}/{generation}.state",
                    MustHaveState = isReopened && Recorded!.Target.KeepsState,
                    Backing = backing,
                    FirstFile = firstFile,
                },
                (wanted, options) => Wrap(FilterStack.Open(wanted.Filters, TargetCatalog.Find(wanted.Target).Open, options)));
            _opened.Add(opened);
            return opened;
        }
        catch (UblkException exception) when (exception.Error == UblkError.BackingFileInUse)
        {
            Refused(++Refusals);
            throw;
        }
    }

    public void RequireFit(OpenedDisk disk) => Die(Step.Opened);

    public void Record(OpenedDisk disk)
    {
        Die(Step.Recording);
        if (IsRecordFull)
        {
            throw new UblkException(UblkError.OperationFailed, "The record cannot be written.");
        }

        Recorded = disk;
        Die(Step.Recorded);
    }

    /// <summary>The path of the disk with which the device is registered.</summary>
    public string? Registered { get; set; }

    public bool IsRegistered(OpenedDisk disk) => disk.Specification.BackingPath == Registered;

    public void Abort(Exception exception) => throw exception;
}
