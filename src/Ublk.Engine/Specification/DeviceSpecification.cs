using System.Text;
using System.Text.Json.Serialization;
using Ublk.Control;

namespace Ublk.Specification;

/// <summary>Everything a worker must know to create and serve one device.</summary>
internal sealed record DeviceSpecification
{
    /// <summary>The greatest depth of a queue (ublk_cmd.h: UBLK_MAX_QUEUE_DEPTH).</summary>
    public const int MaxQueueDepth = 4096;

    /// <summary>The greatest number of queues (ublk_cmd.h: UBLK_MAX_NR_QUEUES).</summary>
    public const int MaxQueueCount = 4096;

    /// <summary>Ids an administrator may choose are below this (ublk_drv.c: UBLK_MAX_UBLKS).</summary>
    public const int MaxId = (1 << 20) - 1;

    /// <summary>The greatest request in bytes the driver's encodings allow (ublk_cmd.h: 25 bits of byte offset a tag).</summary>
    public const int MaxMaxIoSize = 32 << 20;

    /// <summary>The option that names the file or block device behind a disk, of the targets that have one.</summary>
    public const string BackingPathOption = "Path";

    /// <summary>The device's id, or null for the lowest that is free.</summary>
    public int? Id { get; init; }

    /// <summary>The target's name: in the catalogue, or in the assembly.</summary>
    public required string Target { get; init; }

    /// <summary>The assembly that has the target; null for one that is built in.</summary>
    public string? Assembly { get; init; }

    /// <summary>The target's own options by name, in their invariant text form.</summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();

    /// <summary>The file or block device behind the disk, as it was given; null where the target has none.</summary>
    [JsonIgnore]
    public string? BackingPath => Options.GetValueOrDefault(BackingPathOption);

    /// <summary>Whether another specification has the same disk: the same target with the same file or, without a file, options.</summary>
    internal bool HasDiskOf(DeviceSpecification other) => Target == other.Target && BackingPath == other.BackingPath
        && (BackingPath is not null || Options.Order().SequenceEqual(other.Options.Order()));

    /// <summary>What stands before the target, the first one the client meets first.</summary>
    /// <remarks>A record that an older version wrote has none.</remarks>
    public IReadOnlyList<UblkFilter> Filters { get => field ?? []; init; } = [];

    /// <summary>Hardware queues, each with threads of its own.</summary>
    public int QueueCount { get; init; } = 1;

    /// <summary>Threads that share the requests of a queue.</summary>
    public int ThreadsPerQueue { get; init; } = 1;

    /// <summary>Requests a queue holds at once.</summary>
    public int QueueDepth { get; init; } = 128;

    /// <summary>The greatest request in bytes; a multiple of 4096, and of the machine's pages where they are larger.</summary>
    public int MaxIoSize { get; init; } = 512 << 10;

    /// <summary>Logical block size in bytes, or null for the target's own.</summary>
    public int? LogicalBlockSize { get; init; }

    /// <summary>Physical block size in bytes, or null for the target's own.</summary>
    public int? PhysicalBlockSize { get; init; }

    /// <summary>Whether the disk refuses writes.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>When writes are durable.</summary>
    public WriteCache WriteCache { get; init; }

    /// <summary>Whether the kernel leaves the partition table unread.</summary>
    public bool NoPartitionScan { get; init; }

    /// <summary>Whether the device belongs to the ordinary user who makes it, instead of root.</summary>
    public bool Unprivileged { get; init; }

    /// <summary>Whether a backing file that is in use is attached all the same.</summary>
    public bool IgnoreLock { get; init; }

    /// <summary>CPU lists such as <c>0-3,8</c>: one for all queues, or one for each. Empty: one well-chosen CPU for each queue.</summary>
    public IReadOnlyList<string> QueueAffinity { get; init; } = [];

    /// <summary>How the requests' data gets to the target and back.</summary>
    public BufferMode BufferMode { get; init; }

    /// <summary>What clients of the disk see while no worker serves it.</summary>
    public RecoveryMode Recovery { get; init; }

    /// <summary>Whether a supervisor gives the device a new worker when one dies.</summary>
    public bool AutoRestart { get; init; }

    /// <summary>The name of the device, and of the link to it in <c>/dev/disk/by-ublk</c>; null for none.</summary>
    /// <remarks>The rules of udev search for it in the record by this key, which no other object in it may have.</remarks>
    [JsonPropertyName("DeviceName")]
    public string? Name { get; init; }

    /// <summary>A random number the driver keeps with the device, by which a record and its device recognise each other.</summary>
    public ulong Cookie { get; init; }

    /// <summary>Checks what does not concern the target.</summary>
    /// <exception cref="UblkException">A value is out of range.</exception>
    public void Validate()
    {
        Require(Id is null or (>= 0 and <= MaxId), $"Id must be from 0 to {MaxId}, not {Id}.");
        Require(QueueCount is >= 1 and <= MaxQueueCount, $"QueueCount must be from 1 to {MaxQueueCount}, not {QueueCount}.");
        Require(QueueDepth is >= 1 and <= MaxQueueDepth, $"QueueDepth must be from 1 to {MaxQueueDepth}, not {QueueDepth}.");
        Require(ThreadsPerQueue >= 1 && ThreadsPerQueue <= QueueDepth,
            $"ThreadsPerQueue must be from 1 to the depth of a queue, {QueueDepth}, not {ThreadsPerQueue}.");
        int unit = int.Max(4096, Environment.SystemPageSize);
        Require(MaxIoSize > 0 && MaxIoSize <= MaxMaxIoSize && MaxIoSize % unit == 0,
            $"MaxIoSize must be a multiple of {unit} from {unit} to {MaxMaxIoSize} bytes, not {MaxIoSize}.");
        RequireBlockSize(LogicalBlockSize, nameof(LogicalBlockSize), Environment.SystemPageSize);
        RequireBlockSize(PhysicalBlockSize, nameof(PhysicalBlockSize), 1 << 28);
        Require(LogicalBlockSize is null || PhysicalBlockSize is null || PhysicalBlockSize >= LogicalBlockSize,
            $"PhysicalBlockSize ({PhysicalBlockSize}) must not be smaller than LogicalBlockSize ({LogicalBlockSize}).");
        CheckAffinity(QueueAffinity, QueueCount);
        Require(!AutoRestart || Recovery != RecoveryMode.None,
            "AutoRestart needs a device that outlives its worker: leave Recovery out, or set it to Queue, Reissue or Fail.");
        Require(Name is null || IsFileName(Name),
            $"Name must be the name of a file, without a slash, a control character or a dot at its beginning, of at most 255 "
                + $"bytes, not '{Name}'.");
        Require(!Unprivileged || Recovery == RecoveryMode.None,
            "An unprivileged device cannot outlive its worker: leave out Recovery and AutoRestart.");
        Require(!Unprivileged || BufferMode is BufferMode.Auto or BufferMode.Copy,
            $"The driver always copies the data of an unprivileged device: leave out BufferMode {BufferMode}.");
        Require(!Unprivileged || Name is null,
            "An ordinary user cannot make links in /dev: leave out Name.");
    }

    /// <summary>Checks CPU lists: one for all queues, or one for each.</summary>
    /// <exception cref="UblkException">The number of lists is wrong, or a list is malformed.</exception>
    internal static void CheckAffinity(IReadOnlyList<string> lists, int queueCount)
    {
        Require(lists.Count <= 1 || lists.Count == queueCount,
            $"QueueAffinity takes one CPU list for all queues or one for each of the {queueCount}, not {lists.Count}.");
        foreach (string list in lists)
        {
            CpuSet.Parse(list);
        }
    }

    private static bool IsFileName(string name) =>
        name.Length > 0 && name[0] != '.' && !name.Contains('/', StringComparison.Ordinal) && !name.Any(char.IsControl)
        && Encoding.UTF8.GetByteCount(name) <= 255;

    private static void RequireBlockSize(int? bytes, string name, int max) =>
        Require(bytes is null || (bytes >= 512 && bytes <= max && int.IsPow2(bytes.Value)),
            $"{name} must be a power of two from 512 to {max} bytes, not {bytes}.");

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new UblkException(UblkError.InvalidArgument, message);
        }
    }
}
