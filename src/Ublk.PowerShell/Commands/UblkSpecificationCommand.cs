using System.Management.Automation;
using Ublk.Serving;

namespace Ublk.PowerShell.Commands;

/// <summary>What the cmdlets have in common that describe a device: the parameters of every target, and the target's own.</summary>
public abstract class UblkSpecificationCommand : UblkCommand, IDynamicParameters
{
    // What the user leaves out is as the engine has it.
    private static readonly DeviceSpecification Default = new() { Target = "" };

    private RuntimeDefinedParameterDictionary _targetParameters = [];

    /// <summary>The kind of disk.</summary>
    [Parameter(Mandatory = true, Position = 0)]
    [ArgumentCompleter(typeof(TargetCompleter))]
    public string Target { get; set; } = "";

    /// <summary>The device's id; the lowest free one by default.</summary>
    [Parameter]
    public int? Id { get; set; }

    /// <summary>The disk's size in bytes, for targets that do not take it from elsewhere.</summary>
    [Parameter]
    public long? Size { get; set; }

    /// <summary>The number of hardware queues.</summary>
    [Parameter]
    public int? QueueCount { get; set; }

    /// <summary>Threads that share the requests of a queue.</summary>
    [Parameter]
    public int? ThreadsPerQueue { get; set; }

    /// <summary>Requests a queue holds at once.</summary>
    [Parameter]
    public int? QueueDepth { get; set; }

    /// <summary>The greatest request in bytes.</summary>
    [Parameter]
    public int? MaxIoSize { get; set; }

    /// <summary>The smallest unit of a request in bytes; the target's own by default.</summary>
    [Parameter]
    public int? LogicalBlockSize { get; set; }

    /// <summary>The unit the storage prefers in bytes; the target's own by default.</summary>
    [Parameter]
    public int? PhysicalBlockSize { get; set; }

    /// <summary>How the requests' data gets to the target and back.</summary>
    [Parameter]
    public BufferMode BufferMode { get; set; }

    /// <summary>CPU lists: one for all queues, or one for each.</summary>
    [Parameter]
    [ArgumentCompleter(typeof(CpuListCompleter))]
    public string[] QueueAffinity { get; set; } = [];

    /// <summary>Makes a disk that refuses writes.</summary>
    [Parameter]
    public SwitchParameter ReadOnly { get; set; }

    /// <summary>Leaves the partition table unread.</summary>
    [Parameter]
    public SwitchParameter NoPartitionScan { get; set; }

    /// <summary>What clients of the disk see while no worker serves it.</summary>
    [Parameter]
    public RecoveryMode? Recovery { get; set; }

    /// <summary>Gives the device a new worker when one dies.</summary>
    [Parameter]
    public SwitchParameter AutoRestore { get; set; }

    /// <summary>Attaches a backing file that is in use.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <inheritdoc/>
    public object GetDynamicParameters() => _targetParameters = TargetParameters.Of(Target);

    /// <summary>The device that the parameters describe.</summary>
    /// <param name="file">The file behind it, or null.</param>
    /// <param name="symlink">Its stable name, or null.</param>
    protected DeviceSpecification Specify(string? file, string? symlink)
    {
        Dictionary<string, string> options = TargetParameters.Read(_targetParameters, path => FilePaths.Resolve(SessionState, path));
        if (file is not null)
        {
            options.Add("Path", file);
        }

        if (Size is { } size)
        {
            options.Add(nameof(Size), $"{size}");
        }

        return new DeviceSpecification
        {
            Id = Id,
            Symlink = symlink,
            Target = Target,
            Options = options,
            QueueCount = QueueCount ?? Default.QueueCount,
            ThreadsPerQueue = ThreadsPerQueue ?? Default.ThreadsPerQueue,
            QueueDepth = QueueDepth ?? Default.QueueDepth,
            MaxIoSize = MaxIoSize ?? Default.MaxIoSize,
            LogicalBlockSize = LogicalBlockSize,
            PhysicalBlockSize = PhysicalBlockSize,
            ReadOnly = ReadOnly,
            NoPartitionScan = NoPartitionScan,
            BufferMode = BufferMode,
            Recovery = Recovery ?? (AutoRestore ? RecoveryMode.Reissue : RecoveryMode.None),
            AutoRestore = AutoRestore,
            Force = Force,
            QueueAffinity = QueueAffinity,
        };
    }
}
