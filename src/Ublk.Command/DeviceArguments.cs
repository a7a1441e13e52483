using System.CommandLine;
using Ublk.Catalog;
using Ublk.Specification;

namespace Ublk.CommandLine;

/// <summary>The options that describe a device: those of the reference server, then what the engine has besides.</summary>
internal static class DeviceArguments
{
    private static readonly DeviceSpecification s_default = new() { Target = "" };

    private static readonly Option<string?> s_type = TypeOption.Create(
        "The target. By default it follows from the extension of the file's name.");

    private static readonly Option<int?> s_number =
        NumberOption.Create("DEV_ID", "The device's id; the lowest free one by default.", "--number", "-n");

    private static readonly Option<int?> s_queues =
        NumberOption.Create("NR_HW_QUEUES", "The number of queues; 1 by default.", "--queues", "--queue", "-q");

    private static readonly Option<int?> s_depth =
        NumberOption.Create("QUEUE_DEPTH", "The requests that a queue holds at once; 128 by default.", "--depth", "-d");

    private static readonly Option<string?> s_taskWork =
        Switch("URING_COMP", "Completion in task work. It is always on; 0 and 1 are accepted.", "--uring_comp", "-u");

    private static readonly Option<string?> s_getData = Switch("NEED_GET_DATA",
        "1: the driver delivers the data of a write when there is a buffer, by user copy.", "--need_get_data", "--need-get-data", "-g");

    private static readonly Option<string?> s_recovery = Switch("USER_RECOVERY",
        "1: the disk outlives its worker. Requests in flight fail, new ones wait for 'ublk recover'.", "--user_recovery", "-r");

    private static readonly Option<string?> s_reissue = Switch("USER_RECOVERY_REISSUE",
        "1: the disk outlives its worker. All requests wait for 'ublk recover'.", "--user_recovery_reissue", "-i");

    private static readonly Option<string?> s_failIo = Switch("USER_RECOVERY_FAIL_IO",
        "1: the disk outlives its worker. All requests fail until 'ublk recover'.", "--user_recovery_fail_io", "-e");

    private static readonly Option<bool> s_userCopy = Flag("The worker copies the data of requests.", "--usercopy", "--user_copy");

    private static readonly Option<bool> s_zeroCopy = Flag("The data of requests is not copied.", "--zerocopy", "-z");

    private static readonly Option<bool> s_unprivileged =
        Flag("The device belongs to the calling user, as an ordinary user's devices always do.", "--unprivileged");

    private static readonly Option<string?> s_maxIoSize = new("--max_io_buf_bytes")
    {
        Description = "The greatest request; 512K by default.",
        HelpName = "BYTES",
    };

    private static readonly Option<bool> s_buffered = Flag("Use the page cache for the file: --direct_io false.", "--buffered_io");

    private static readonly Option<bool> s_readOnly = Flag("The disk refuses writes.", "--read_only");

    private static readonly Option<string?> s_writeCache = Choice("back|through",
        "through: a write is durable when it completes. back, the default: when the disk is flushed.", ["back", "through"],
        "--write_cache");

    private static readonly Option<bool> s_noScan = Flag("The kernel leaves the partition table unread.", "--no_auto_part_scan");

    private static readonly Option<bool> s_autoRestart =
        Flag("A supervisor starts a new worker when one dies. Implies -i 1 unless -r or -e is given.", "--auto_restart");

    private static readonly Option<bool> s_ignoreLock = Flag("Open the file although another program has locked it.", "--ignore_lock");

    private static readonly Option<string?> s_name =
        new("--name") { Description = "The name of the device and of a link to it in /dev/disk/by-ublk.", HelpName = "NAME" };

    private static readonly Option<int?> s_threads =
        NumberOption.Create("COUNT", "The threads that share the requests of a queue; 1 by default.", "--threads_per_queue");

    private static readonly Option<int?> s_logicalBlock =
        NumberOption.Create("BYTES", "The smallest unit of a request; the target's own by default.", "--logical_block_size");

    private static readonly Option<int?> s_physicalBlock =
        NumberOption.Create("BYTES", "The unit that the storage prefers; the target's own by default.", "--physical_block_size");

    private static readonly Option<string[]> s_cpus = new("--queue_affinity")
    {
        Description = "The CPUs of all queues, such as 0-3; given several times, of one queue each.",
        HelpName = "CPUS",
    };

    /// <summary>The options.</summary>
    public static IReadOnlyList<Option> All { get; } =
    [
        s_type, s_number, s_queues, s_depth, s_taskWork, s_getData, s_recovery, s_reissue, s_failIo, s_userCopy, s_zeroCopy,
        s_unprivileged, s_maxIoSize, s_buffered, s_readOnly, s_noScan, s_autoRestart, s_ignoreLock, s_name, s_threads, s_logicalBlock,
        s_physicalBlock, s_cpus, s_writeCache,
    ];

    /// <summary>The device that a command line describes.</summary>
    /// <exception cref="UblkException">The target or an option is not what it should be.</exception>
    public static DeviceSpecification Read(ParseResult result)
    {
        Dictionary<string, string> options = ReadOptions(result);
        string target = result.GetValue(s_type) ?? (options.TryGetValue(DeviceSpecification.BackingPathOption, out string? file)
            ? TargetCatalog.ForFile(file)
            : throw new UblkException(UblkError.InvalidArgument, "Name a target or a file: ublk add -t null, or ublk add -f FILE."));
        bool autoRestart = result.GetValue(s_autoRestart);
        DeviceSpecification specification = new()
        {
            Id = result.GetValue(s_number),
            Name = result.GetValue(s_name),
            Target = TargetCatalog.Find(target).Name,
            Options = options,
            QueueCount = result.GetValue(s_queues) ?? s_default.QueueCount,
            ThreadsPerQueue = result.GetValue(s_threads) ?? s_default.ThreadsPerQueue,
            QueueDepth = result.GetValue(s_depth) ?? s_default.QueueDepth,
            MaxIoSize = result.GetValue(s_maxIoSize) is { } size ? (int)long.Min(int.MaxValue, SizeText.Parse(s_maxIoSize.Name, size))
                : s_default.MaxIoSize,
            LogicalBlockSize = result.GetValue(s_logicalBlock),
            PhysicalBlockSize = result.GetValue(s_physicalBlock),
            ReadOnly = result.GetValue(s_readOnly),
            WriteCache = result.GetValue(s_writeCache) == "through" ? WriteCache.Through : WriteCache.Back,
            NoPartitionScan = result.GetValue(s_noScan),
            BufferMode = ReadBufferMode(result),
            Recovery = ReadRecovery(result, autoRestart),
            AutoRestart = autoRestart,
            Unprivileged = result.GetValue(s_unprivileged) || !Environment.IsPrivilegedProcess,
            IgnoreLock = result.GetValue(s_ignoreLock),
            QueueAffinity = result.GetValue(s_cpus) ?? [],
        };
        SpecificationCheck.RunNew(specification);
        return specification;
    }

    private static Dictionary<string, string> ReadOptions(ParseResult result)
    {
        Dictionary<string, string> options = new(StringComparer.OrdinalIgnoreCase);
        foreach (TargetArgument argument in TargetArgument.All)
        {
            argument.Read(result, options);
        }

        NbdArgument.Read(result, options);
        if (result.GetValue(s_buffered) && !options.TryAdd("DirectIO", "false"))
        {
            throw new UblkException(UblkError.InvalidArgument, "--buffered_io and --direct_io exclude each other.");
        }

        return options;
    }

    // User copy has replaced NEED_GET_DATA; the driver clears that feature where user copy is on.
    private static BufferMode ReadBufferMode(ParseResult result)
    {
        bool userCopy = result.GetValue(s_userCopy) || IsOn(result, s_getData);
        return (result.GetValue(s_zeroCopy), userCopy) switch
        {
            (true, true) => throw new UblkException(UblkError.InvalidArgument, "-z excludes --usercopy and -g 1."),
            (true, _) => BufferMode.ZeroCopy,
            (_, true) => BufferMode.UserCopy,
            _ => BufferMode.Auto,
        };
    }

    private static RecoveryMode ReadRecovery(ParseResult result, bool autoRestart) =>
        (IsOn(result, s_recovery), IsOn(result, s_reissue), IsOn(result, s_failIo)) switch
        {
            (_, true, true) => throw new UblkException(UblkError.InvalidArgument, "-i 1 and -e 1 exclude each other."),
            (_, true, _) => RecoveryMode.Reissue,
            (_, _, true) => RecoveryMode.Fail,
            (true, _, _) => RecoveryMode.Queue,
            _ => autoRestart ? RecoveryMode.Reissue : RecoveryMode.None,
        };

    private static bool IsOn(ParseResult result, Option<string?> option) => result.GetValue(option) == "1";

    private static Option<bool> Flag(string description, string name, params string[] aliases) =>
        new(name, aliases) { Description = description, Arity = ArgumentArity.Zero };

    private static Option<string?> Switch(string helpName, string description, string name, params string[] aliases) =>
        Choice(helpName, description, ["0", "1"], name, aliases);

    private static Option<string?> Choice(
        string helpName, string description, string[] choices, string name, params string[] aliases)
    {
        Option<string?> option = new(name, aliases) { Description = description, HelpName = helpName };
        option.AcceptOnlyFromAmong(choices);
        return option;
    }
}
