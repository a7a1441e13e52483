using System.Collections;
using System.Management.Automation;
using Ublk.Catalog;
using Ublk.Specification;
using Ublk.Targets;

namespace Ublk.PowerShell.Commands;

/// <summary>What the cmdlets have in common that describe a device: the parameters of every target, and the target's own.</summary>
public abstract class UblkSpecificationCommand : UblkCommand, IDynamicParameters
{
    // What the user leaves out is as the engine has it.
    private static readonly DeviceSpecification Default = new() { Target = "" };

    private RuntimeDefinedParameterDictionary _targetParameters = [];

    /// <summary>The kind of disk. By default it follows from the extension of the file's name.</summary>
    [Parameter(Position = 1)]
    [ArgumentCompleter(typeof(TargetCompleter))]
    public string? Target { get; set; }

    /// <summary>The assembly that has the target, where it is not built in.</summary>
    [Parameter]
    public string? Assembly { get; set; }

    /// <summary>The target's options, where they are not given as parameters.</summary>
    [Parameter]
    public Hashtable Option { get; set; } = [];

    /// <summary>What stands before the target, the first one the client meets first.</summary>
    [Parameter]
    [ArgumentCompleter(typeof(FilterCompleter))]
    public object[] Filter { get; set; } = [];

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

    /// <summary>When writes are durable: at the next flush, or when they are answered.</summary>
    [Parameter]
    public WriteCache WriteCache { get; set; }

    /// <summary>Leaves the partition table unread.</summary>
    [Parameter]
    public SwitchParameter NoPartitionScan { get; set; }

    /// <summary>What clients of the disk see while no worker serves it.</summary>
    [Parameter]
    public RecoveryMode? Recovery { get; set; }

    /// <summary>Gives the device a new worker when one dies.</summary>
    [Parameter]
    public SwitchParameter AutoRestart { get; set; }

    /// <summary>Opens the file although another device or program has locked it.</summary>
    [Parameter]
    public SwitchParameter IgnoreLock { get; set; }

    /// <summary>The first file of the command line, whose target's options become parameters; null where there is none.</summary>
    private protected abstract string? FirstFile { get; }

    /// <summary>Whether a disk that can recover restarts its worker where the user says nothing about it.</summary>
    private protected virtual bool RestartsByDefault => false;

    /// <inheritdoc/>
    public object GetDynamicParameters() => _targetParameters = TargetParameters.Of(FindTargetOrNone(), GetType());

    /// <summary>The device that the parameters describe.</summary>
    /// <param name="file">The file behind it, or null.</param>
    /// <param name="name">Its stable name, or null.</param>
    /// <param name="unprivileged">Whether it is an unprivileged device, which belongs to the calling user.</param>
    /// <exception cref="UblkException">The target, an option or a filter is not what it should be.</exception>
    private protected DeviceSpecification Specify(string? file, string? name, bool unprivileged)
    {
        string? assembly = Assembly is null ? null : FilePaths.ResolveExisting(SessionState, Assembly);
        UblkTarget target = FindTarget(file);
        Dictionary<string, string> options = ReadOptions(target, file);
        if (assembly is not null)
        {
            target.CheckOptions(options);
        }

        DeviceSpecification specification = new()
        {
            Id = Id,
            Name = name,
            Target = target.Name,
            Assembly = assembly,
            Options = options,
            Filters = [.. Filter.Select(filter => FilterArgument.Read(filter, ResolvePath))],
            QueueCount = QueueCount ?? Default.QueueCount,
            ThreadsPerQueue = ThreadsPerQueue ?? Default.ThreadsPerQueue,
            QueueDepth = QueueDepth ?? Default.QueueDepth,
            MaxIoSize = MaxIoSize ?? Default.MaxIoSize,
            LogicalBlockSize = LogicalBlockSize,
            PhysicalBlockSize = PhysicalBlockSize,
            ReadOnly = ReadOnly,
            WriteCache = WriteCache,
            NoPartitionScan = NoPartitionScan,
            BufferMode = BufferMode,
            Recovery = Recovery ?? (AutoRestart ? RecoveryMode.Reissue : RecoveryMode.None),
            AutoRestart = AutoRestart,
            Unprivileged = unprivileged,
            IgnoreLock = IgnoreLock,
            QueueAffinity = QueueAffinity,
        };
        SpecificationCheck.RunNew(specification);
        bool isLeftOpen = !MyInvocation.BoundParameters.ContainsKey(nameof(AutoRestart)) && Recovery != RecoveryMode.None;
        return RestartsByDefault && isLeftOpen && SpecificationCheck.IsRecoverable(specification)
            ? specification with { Recovery = Recovery ?? RecoveryMode.Reissue, AutoRestart = true }
            : specification;
    }

    private string ResolvePath(string path) => FilePaths.Resolve(SessionState, path);

    private Dictionary<string, string> ReadOptions(UblkTarget target, string? file)
    {
        Dictionary<string, string> options = TargetParameters.Read(_targetParameters, ResolvePath);
        foreach ((string name, string value) in OptionText.Of(Option, target.Options, ResolvePath))
        {
            Add(name, value);
        }

        if (file is not null)
        {
            Add(DeviceSpecification.BackingPathOption, file);
        }

        if (Size is { } size)
        {
            Add(nameof(Size), $"{size}");
        }

        return options;

        void Add(string name, string value)
        {
            if (!options.TryAdd(name, value))
            {
                throw new UblkException(UblkError.InvalidArgument, $"{name} is given twice, as a parameter and with -Option.");
            }
        }
    }

    // The target that is named, or the one that serves the file.
    private UblkTarget FindTarget(string? file)
    {
        if (Assembly is not null)
        {
            string name = Target
                ?? throw new UblkException(UblkError.InvalidArgument, $"Name the target of {Assembly}: add -Target NAME.");
            return PluginCatalog.Find(ResolvePath(Assembly), name, WorkerDirectory);
        }

        return TargetCatalog.Find(Target ?? (file is not null ? TargetCatalog.ForFile(file) : throw new UblkException(
            UblkError.InvalidArgument,
            $"Name a file or a target: {MyInvocation.MyCommand} disk.img, or {MyInvocation.MyCommand} -Target Null.")));
    }

    // Parameters are wanted while the user still types; errors are reported when the command runs.
    private UblkTarget? FindTargetOrNone()
    {
        try
        {
            return FindTarget(FirstFile);
        }
        catch (UblkException)
        {
            return null;
        }
    }
}
