using System.Management.Automation;
using Ublk.Devices;
using Ublk.Serving;

namespace Ublk.PowerShell.Commands;

/// <summary>Makes devices: one, or one for each file.</summary>
[Cmdlet(VerbsCommon.New, "UblkDevice", DefaultParameterSetName = "Path", SupportsShouldProcess = true)]
[OutputType(typeof(UblkDevice))]
public sealed class NewUblkDeviceCommand : UblkCommand, IDynamicParameters
{
    // What the user leaves out is as the engine has it.
    private static readonly DeviceSpecification Default = new() { Target = "" };

    private RuntimeDefinedParameterDictionary _targetParameters = [];

    /// <summary>The kind of disk.</summary>
    [Parameter(Mandatory = true, Position = 0)]
    [ArgumentCompleter(typeof(TargetCompleter))]
    public string Target { get; set; } = "";

    /// <summary>The files behind the disks; wildcards are expanded.</summary>
    [Parameter(Position = 1, ParameterSetName = "Path", ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    public string[]? Path { get; set; }

    /// <summary>The files behind the disks, taken as they are.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "LiteralPath", ValueFromPipelineByPropertyName = true)]
    [Alias("PSPath", "FullName")]
    public string[]? LiteralPath { get; set; }

    /// <summary>The device's id; the lowest free one by default.</summary>
    [Parameter]
    public int? Id { get; set; }

    /// <summary>The disk's size in bytes, for targets that do not take it from elsewhere.</summary>
    [Parameter]
    public long? Size { get; set; }

    /// <summary>The number of hardware queues.</summary>
    [Parameter]
    public int? QueueCount { get; set; }

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

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (Path is null && LiteralPath is null)
        {
            Create(null);
        }

        foreach (string path in Path ?? [])
        {
            Attempt(path, () =>
            {
                foreach (string file in FilePaths.Expand(SessionState, path))
                {
                    Create(file);
                }
            });
        }

        foreach (string path in LiteralPath ?? [])
        {
            Attempt(path, () => Create(FilePaths.ResolveExisting(SessionState, path)));
        }
    }

    private void Create(string? file)
    {
        object item = file ?? (object?)Id ?? Target;
        DeviceSpecification specification = Specify(file);
        Require(item, specification.Validate);
        if (!ShouldProcess(file is null ? Target : $"{Target}, {file}", "Create ublk device"))
        {
            return;
        }

        RequireDriver();
        Attempt(item, () => WithProgress($"Creating a ublk device: {item}", step =>
        {
            LaunchResult result = DeviceLauncher.Start(specification, WorkerDirectory, step, StopToken);
            foreach (string warning in result.Warnings)
            {
                WriteWarning(warning);
            }

            WriteObject(result.Device);
        }));
    }

    private DeviceSpecification Specify(string? file)
    {
        Dictionary<string, string> options = TargetParameters.Read(_targetParameters, path => FilePaths.Resolve(SessionState, path));
        if (file is not null)
        {
            options.Add(nameof(Path), file);
        }

        if (Size is { } size)
        {
            options.Add(nameof(Size), $"{size}");
        }

        return new DeviceSpecification
        {
            Id = Id,
            Target = Target,
            Options = options,
            QueueCount = QueueCount ?? Default.QueueCount,
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
