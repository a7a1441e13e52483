using Ublk.Control;
using Ublk.Counters;
using Ublk.Devices;
using Ublk.Interop;
using Ublk.Live;
using Ublk.Logging;
using Ublk.Registration;
using Ublk.Serving;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Workers;

namespace Ublk.Worker;

/// <summary>Opens the disk of a worker: at its start, and anew when a command changes what is behind it.</summary>
/// <param name="log">The device's log.</param>
/// <param name="sizeChanged">Called when the size of what is behind the disk has changed.</param>
/// <param name="abort">Ends the process.</param>
internal sealed class DiskHost(Log log, Action sizeChanged, Action<Exception> abort) : ILiveHost
{
    /// <summary>Where the target counts; null until the disk is open for the first time.</summary>
    public CounterMemory? Counters { get; set; }

    /// <summary>Opens the disk for the first time.</summary>
    /// <param name="kind">Why the worker was started.</param>
    /// <param name="specification">The device.</param>
    /// <param name="former">The record of the device's last worker.</param>
    /// <exception cref="UblkException">It cannot be opened.</exception>
    public OpenedDisk Open(LaunchKind kind, DeviceSpecification specification, DeviceRecord? former) => Open(
        specification, former?.Generation ?? 0,
        mustHaveState: kind == LaunchKind.Recover && former?.KeepsState != false,
        kind == LaunchKind.New ? null : GenerationsOf(former));

    /// <inheritdoc/>
    /// <remarks>A worker that died before it recorded an opening may have left a state of the same number.</remarks>
    public OpenedDisk Open(
        DeviceSpecification specification, int generation, bool isReopened, BlockTarget? backing = null, int firstFile = 0)
    {
        int id = specification.Id!.Value;
        DeviceRecord? record = StateDirectory.Own.TryRead(id);
        if (!isReopened)
        {
            File.Delete(StateDirectory.Own.TargetStatePath(id, specification.Cookie, generation));
        }

        return Open(
            specification, generation, mustHaveState: isReopened && record?.KeepsState == true, GenerationsOf(record), backing,
            firstFile);
    }

    /// <inheritdoc/>
    public void RequireFit(OpenedDisk disk)
    {
        int id = disk.Specification.Id!.Value;
        using ControlDevice control = new();
        UblkDeviceInfo info = control.GetInfo(id);
        if (DeviceParameters.WhyNotKept(
            control.GetParameters(id), (UblkFeatures)info.Flags, disk.Specification.ReadOnly, disk.Target) is { } reason)
        {
            throw new UblkException(UblkError.InvalidBackingFile, $"The disk of device {id} {reason}.", operation: "open", deviceId: id);
        }
    }

    /// <inheritdoc/>
    public void Record(OpenedDisk disk)
    {
        DeviceSpecification specification = disk.Specification;
        int id = specification.Id!.Value;
        DeviceRecord? record = StateDirectory.Own.TryRead(id);
        if (record?.Specification.Cookie != specification.Cookie)
        {
            throw new UblkException(UblkError.OperationFailed,
                $"The record of device {id} is lost, so the device cannot be changed. It serves its disk until it is removed: unmount the "
                    + $"disk, run Remove-UblkDevice {id}, and make the device again.",
                deviceId: id);
        }

        StateDirectory.Own.Write(disk.Describe(record));
        Counters!.SetTarget(disk.Target.Counters);
        if (record.Generation != disk.Generation)
        {
            File.Delete(StateDirectory.Own.TargetStatePath(id, specification.Cookie, record.Generation));
        }
    }

    /// <inheritdoc/>
    public bool IsRegistered(OpenedDisk disk) => disk.Specification.Name is { } name
        && DeviceRegistrar.TryRead(name) is { } registered
        && registered.HasDiskOf(disk.Specification);

    /// <inheritdoc/>
    public void Abort(Exception exception) => abort(exception);

    private static Dictionary<string, ulong> GenerationsOf(DeviceRecord? record) =>
        record?.Overlays.ToDictionary(overlay => overlay.Key, overlay => overlay.Value.Generation) ?? [];

    private OpenedDisk Open(
        DeviceSpecification specification, int generation, bool mustHaveState, Dictionary<string, ulong>? overlays,
        BlockTarget? backing = null, int firstFile = 0)
    {
        int id = specification.Id!.Value;
        TargetOptions options = new(specification.Options)
        {
            ReadOnly = specification.ReadOnly,
            IgnoreLock = specification.IgnoreLock,
            LogicalBlockSize = specification.LogicalBlockSize,
            QueueThreads = specification.QueueCount * specification.ThreadsPerQueue,
            Recovery = specification.Recovery,
            Warn = message => log.Write(LogLevel.Error, $"device {id}: {message}"),
            Inform = message => log.Write(LogLevel.Information, $"device {id}: {message}"),
            SizeChanged = sizeChanged,
            Companion = [.. Self.Command, WorkerArguments.Companion],
            StatePath = StateDirectory.Own.TargetStatePath(id, specification.Cookie, generation),
            MustHaveState = mustHaveState,
            FormerGenerations = overlays,
            Backing = backing,
            FirstFile = firstFile,

            // A filter may change the size, and a disk with filters keeps its own.
            FormerSize = specification.Filters.Count == 0 ? new SysfsDisk(id).Size : null,
        };
        return OpenedDisk.Open(specification, generation, options, TargetOpening.Open);
    }
}
