using Ublk.Control;
using Ublk.Files;
using Ublk.Specification;

namespace Ublk.Devices;

/// <summary>A ublk device at the time of the query: the kernel's information combined with the record of its worker.</summary>
/// <remarks>
/// A null value is unknown: the state of a device, for one, is visible to root and its owner alone, and a device of
/// another server has no record of its target.
/// </remarks>
public sealed class UblkDevice
{
    /// <summary>The device's id: the N of ublkbN.</summary>
    public required int Id { get; init; }

    /// <summary>The block device, <c>/dev/ublkbN</c>.</summary>
    public string DevicePath => $"/dev/ublkb{Id}";

    /// <summary>The character device its server talks to, <c>/dev/ublkcN</c>.</summary>
    public string CharDevicePath => $"/dev/ublkc{Id}";

    /// <summary>The device's name, or null. It is stable, unlike the id.</summary>
    public string? Name { get; init; }

    /// <summary>The link to the block device by its name, <c>/dev/disk/by-ublk/NAME</c>; null for a device without a name.</summary>
    public string? Symlink => Name is null ? null : DeviceSymlink.PathOf(Name);

    /// <summary>The target's name; null for a device of another server.</summary>
    public string? Target { get; init; }

    /// <summary>The target's options as they were given.</summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();

    /// <summary>The assembly that has the target; null for one that is built in.</summary>
    public string? Assembly { get; init; }

    /// <summary>What stands before the target, the first one the client meets first.</summary>
    public IReadOnlyList<UblkFilter> Filters { get; init; } = [];

    /// <summary>The file or block device behind the disk, or null.</summary>
    public string? BackingPath { get; init; }

    /// <summary>
    /// Whether the file at <see cref="BackingPath"/> was deleted, or replaced by another, while the worker serves it. Its data is then lost
    /// when the device is removed. Null where no worker serves the device and where the caller may not look.
    /// </summary>
    public bool? IsBackingDeleted { get; init; }

    /// <summary>The two places that Move-UblkDevice -Mirror keeps alike, each with its state; null for a disk in one place.</summary>
    public UblkMirror? Mirror { get; init; }

    /// <summary>The disk's size in bytes.</summary>
    public long? Size { get; init; }

    /// <summary>Whether the device is served and, if not, why. Null if the caller may not know.</summary>
    public DeviceState? State { get; init; }

    /// <summary>Whether the disk refuses writes.</summary>
    public bool? ReadOnly { get; init; }

    /// <summary>When writes are durable; null for a device of another server.</summary>
    public WriteCache? WriteCache { get; init; }

    /// <summary>The smallest unit of a request in bytes.</summary>
    public int? LogicalBlockSize { get; init; }

    /// <summary>The unit the storage prefers in bytes.</summary>
    public int? PhysicalBlockSize { get; init; }

    /// <summary>The number of hardware queues.</summary>
    public int? QueueCount { get; init; }

    /// <summary>Threads that share the requests of a queue; null for a device of another server.</summary>
    public int? ThreadsPerQueue { get; init; }

    /// <summary>Requests a queue holds at once.</summary>
    public int? QueueDepth { get; init; }

    /// <summary>The greatest request in bytes.</summary>
    public int? MaxIoSize { get; init; }

    /// <summary>The process that serves the device; null if no process does.</summary>
    public int? ProcessId { get; init; }

    /// <summary>The version of the last worker of the device; null for a device of another server, and for a worker before 0.1.</summary>
    public string? WorkerVersion { get; init; }

    /// <summary>
    /// Whether the device is served by a worker of another version than this library, as after an update; null for a device of another
    /// server.
    /// </summary>
    public bool? Outdated => Target is null ? null : ProcessId is not null && WorkerVersion != EngineVersion.Text;

    /// <summary>The device's owner: a user name, or the number of a user without one.</summary>
    public string? Owner { get; init; }

    /// <summary>The driver features the device uses.</summary>
    public UblkFeatures? Flags { get; init; }

    /// <summary>The queues' threads and CPUs.</summary>
    public IReadOnlyList<QueueInfo> Queues { get; init; } = [];

    /// <summary>Major and minor number of the block device.</summary>
    public string? DeviceNumber { get; init; }

    /// <summary>Major and minor number of the character device.</summary>
    public string? CharDeviceNumber { get; init; }

    /// <summary>Devices, swap areas and volumes that stand on the disk or on one of its partitions.</summary>
    public IReadOnlyList<string> Holders { get; init; } = [];

    /// <summary>Where the disk or one of its partitions is mounted.</summary>
    public IReadOnlyList<string> MountPoints { get; init; } = [];

    /// <summary>When the worker started the device.</summary>
    public DateTime? StartTime { get; init; }

    /// <summary>What clients of the disk see while no worker serves it; null for a device of another server.</summary>
    public RecoveryMode? Recovery { get; init; }

    /// <summary>Whether a supervisor gives the device a new worker when one dies.</summary>
    public bool? AutoRestart { get; init; }

    /// <summary>How many workers the supervisor has started; null without a supervisor.</summary>
    public int? Restarts { get; init; }

    /// <summary>How the last worker ended: a signal's name, or an exit code; null where no supervisor saw one end.</summary>
    public string? LastExit { get; init; }

    /// <summary>
    /// Information about the storage behind the disk, by name, as it was when the last worker was started; empty for most targets.
    /// </summary>
    public IReadOnlyDictionary<string, string> TargetProperties { get; init; } = new Dictionary<string, string>();

    /// <summary>
    /// What the target has counted since its worker was started, by name; empty where it has no counters, where no worker serves the
    /// device, and where the caller may not look.
    /// </summary>
    public IReadOnlyDictionary<string, long> TargetStatistics { get; init; } = new Dictionary<string, long>();

    /// <summary>Whether all values are known. The driver reports on devices of other users to root alone.</summary>
    public bool IsComplete { get; init; }

    /// <summary>The driver's own state of the device; null if the caller may not know.</summary>
    internal DriverState? DriverState { get; init; }

    /// <summary>The user and the group that own the device; null if the caller may not know.</summary>
    internal (uint User, uint Group)? OwnerIds { get; init; }

    /// <summary>Identifies the device among others that had the same id; null where it is unknown.</summary>
    internal ulong? Cookie { get; init; }

    /// <summary>Identity of the backing file; null if the disk has none, or none is recorded.</summary>
    internal FileIdentity? BackingFile { get; init; }

    /// <summary>The block device's path, so that a device in a string is usable as one.</summary>
    public override string ToString() => DevicePath;
}

/// <summary>A thread that serves a hardware queue of a device: the only one, unless the device has several for each.</summary>
/// <param name="Id">The queue's number, from 0.</param>
/// <param name="ThreadId">The kernel's id of the thread.</param>
/// <param name="Affinity">The CPUs the thread may run on, as a list such as <c>0-3</c>.</param>
public sealed record QueueInfo(int Id, int ThreadId, string Affinity)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Id}: thread {ThreadId} on CPU {Affinity}";
}
