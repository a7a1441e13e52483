using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Ublk.Interop;
using Ublk.Processes;
using Ublk.Specification;

namespace Ublk.Workers;

/// <summary>The worker's executable: native where the module brings one for this machine, else run by the dotnet host.</summary>
internal sealed class WorkerProgram
{
    private readonly string _file;
    private readonly string[] _firstArguments;

    private WorkerProgram(string file, params string[] firstArguments)
    {
        _file = file;
        _firstArguments = firstArguments;
    }

    /// <summary>The program and the arguments that come before the verb.</summary>
    public IReadOnlyList<string> Command => [_file, .. _firstArguments];

    private static bool IsRoot => Libc.GetEffectiveUserId() == 0;

    // The service manager of an ordinary user has a socket while the user is logged in.
    private static bool IsSystemdRunning => IsRoot
        ? ServiceManager.IsRunning
        : File.Exists($"{Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR")}/systemd/private");

    // What needs root.
    private static string[] ManagerOptions => IsRoot
        ? ["--property=PrivateMounts=yes", "--property=OOMScoreAdjust=-1000",
            .. WorkerPrivileges.UnitSettings.Select(setting => $"--property={setting}")]
        : ["--user", $"--property={WorkerPrivileges.NoNewPrivileges}"];

    /// <summary>Finds the program for a device: only the dotnet host loads assemblies.</summary>
    /// <exception cref="UblkException">No worker program can be executed.</exception>
    public static WorkerProgram Locate(string directory, DeviceSpecification specification) =>
        specification.Assembly is null ? Locate(directory) : LocatePortable(directory);

    /// <summary>Finds the program.</summary>
    /// <param name="directory">
    /// The folder of workers: one for each platform, and <c>portable</c>; or one with a worker for this platform.
    /// </param>
    /// <exception cref="UblkException">No worker program can be executed.</exception>
    public static WorkerProgram Locate(string directory)
    {
        string single = Path.Combine(directory, "ublk-worker");
        string native = File.Exists(single) ? single : Path.Combine(directory, Platform, "ublk-worker");
        if (File.Exists(native))
        {
            return IsExecutable(native) || TryMakeExecutable(native)
                ? new WorkerProgram(native)
                : throw Missing($"The worker program {native} is not executable. Make it so: chmod +x '{native}'");
        }

        return File.Exists(Portable(directory))
            ? LocatePortable(directory)
            : throw Missing($"The worker program {native} is missing. Install what it came with again.");
    }

    /// <summary>Finds the program that the dotnet host runs.</summary>
    /// <exception cref="UblkException">It, or the host, is missing.</exception>
    public static WorkerProgram LocatePortable(string directory)
    {
        string portable = Portable(directory);
        if (!File.Exists(portable))
        {
            throw Missing($"The worker program {portable} is missing. Install what it came with again.");
        }

        string host = FindDotnet()
            ?? throw Missing($"There is no dotnet to run {portable}. Install the .NET runtime, version 10 or newer.");
        return new WorkerProgram(host, portable);
    }

    /// <summary>Where a folder of workers has the program that the dotnet host runs.</summary>
    public static string PortableFolder(string directory) => Path.Combine(directory, "portable");

    /// <summary>The executable.</summary>
    /// <exception cref="UblkException">The worker is run by the dotnet host.</exception>
    public string NativeFile => _firstArguments is []
        ? _file
        : throw Missing($"The module has no native worker program for {Platform}, which this takes.");

    /// <summary>Starts the worker so that it outlives the caller, the shell and the terminal.</summary>
    /// <exception cref="UblkException">It could not be started.</exception>
    public StartedWorker Start(DeviceSpecification specification, string channel)
    {
        string[] arguments = WorkerArguments.ForServing(specification, channel);
        string verb = specification.AutoRestart ? WorkerArguments.Supervise : WorkerArguments.Serve;
        return Start($"ublk-{specification.Id}", $"ublk device {specification.Id}", [verb, .. arguments]);
    }

    /// <summary>The same for another verb.</summary>
    /// <param name="unit">The name of the unit, where systemd runs.</param>
    /// <param name="description">What it is.</param>
    /// <param name="arguments">The verb, and what that needs.</param>
    /// <exception cref="UblkException">It could not be started.</exception>
    public StartedWorker Start(string unit, string description, IEnumerable<string> arguments) =>
        IsSystemdRunning ? StartUnit(unit, description, arguments) : StartDetached(arguments);

    /// <summary>Starts the program for another verb, with its standard input and output redirected. It has what the caller has.</summary>
    /// <param name="arguments">The verb, and what that needs.</param>
    /// <exception cref="UblkException">It cannot be started.</exception>
    public Process Run(params string[] arguments) => Run(arguments, redirectsError: false, start => Process.Start(start)!);

    /// <summary>The same, with its standard error redirected as well. It may do no more than a worker.</summary>
    /// <param name="replacesFiles">Whether it gives files of root's to other users.</param>
    /// <param name="arguments">The verb, and what that needs.</param>
    /// <exception cref="UblkException">It cannot be started.</exception>
    public Process RunLimited(bool replacesFiles, params string[] arguments) =>
        Run(arguments, redirectsError: true, start => WorkerPrivileges.Start(start, replacesFiles: replacesFiles));

    private Process Run(string[] arguments, bool redirectsError, Func<ProcessStartInfo, Process> start)
    {
        try
        {
            return start(new ProcessStartInfo(_file, [.. _firstArguments, .. arguments])
            {
                WorkingDirectory = "/",
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = redirectsError,
            });
        }
        catch (Win32Exception exception)
        {
            throw CannotRun(exception);
        }
    }

    private StartedWorker StartUnit(string unit, string description, IEnumerable<string> arguments)
    {
        IEnumerable<string> command =
        [
            "--quiet", "--collect", $"--unit={unit}", $"--description={description}",
            // A supervisor that dies leaves its worker to serve on; one that is stopped has the worker end first.
            // Not stopped by a shutdown, which would take the disk before it is unmounted: the last programs are ended after that.
            "--property=DefaultDependencies=no",
            "--property=Type=exec", "--property=WorkingDirectory=/", "--property=KillMode=process", "--property=OOMPolicy=continue",
            "--property=SyslogIdentifier=ublk", .. ManagerOptions, "--", _file, .. _firstArguments, .. arguments,
        ];
        return ExternalProgram.TryRun("systemd-run", command, out string error)
            ? new StartedWorker(processId: null) { FindMainProcess = () => FindMainProcess($"{unit}.service") }
            : throw new UblkException(UblkError.WorkerDied, $"The worker could not be started: {error}");
    }

    private static int? FindMainProcess(string unit)
    {
        string[] user = IsRoot ? [] : ["--user"];
        return ExternalProgram.TryRun("systemctl", [.. user, "show", "--property=MainPID", "--value", unit], out string output, out _)
            && int.TryParse(output, NumberStyles.None, CultureInfo.InvariantCulture, out int id)
                ? id
                : null;
    }

    private StartedWorker StartDetached(IEnumerable<string> arguments)
    {
        try
        {
            DetachedProcess process = DetachedProcess.Start(_file, [.. _firstArguments, .. arguments]);
            return new StartedWorker(process.Id) { Process = process };
        }
        catch (Win32Exception exception)
        {
            throw CannotRun(exception);
        }
    }

    private static string Portable(string directory) => Path.Combine(PortableFolder(directory), "ublk-worker.dll");

    private static string Platform
    {
        get
        {
            string libc = RuntimeInformation.RuntimeIdentifier.Contains("musl", StringComparison.Ordinal) ? "musl-" : "";
            return $"linux-{libc}{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}";
        }
    }

    private static bool IsExecutable(string path) =>
        (File.GetUnixFileMode(path) & (UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute)) != 0;

    // A package from a gallery carries no permissions. The user who installed the module, or root, can set this one.
    private static bool TryMakeExecutable(string path)
    {
        try
        {
            File.SetUnixFileMode(path, File.GetUnixFileMode(path)
                | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string? FindDotnet()
    {
        string? root = Environment.GetEnvironmentVariable("DOTNET_ROOT");
        IEnumerable<string> directories = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
            .Prepend(root ?? "").Append("/usr/share/dotnet").Append("/usr/lib/dotnet");
        return directories.Where(directory => directory.Length > 0)
            .Select(directory => Path.Combine(directory, "dotnet")).FirstOrDefault(File.Exists);
    }

    private UblkException CannotRun(Win32Exception exception) =>
        new(UblkError.WorkerMissing, $"Cannot run {_file}: {exception.Message}.", exception.NativeErrorCode, "start");

    private static UblkException Missing(string message) => new(UblkError.WorkerMissing, message);
}

/// <summary>A worker that was started and has not called its launcher yet.</summary>
/// <param name="processId">Its process id; null where only the service manager knows it.</param>
internal sealed class StartedWorker(int? processId) : IDisposable
{
    private bool _isAsked;
    private int? _mainProcess;

    /// <summary>Its process id; null where only the service manager knows it.</summary>
    public int? ProcessId => processId;

    /// <summary>The process, where the launcher itself started it detached.</summary>
    public DetachedProcess? Process { get; init; }

    /// <summary>
    /// Asks the service manager for the main process of the worker's unit: 0 when that has ended; null where it does not answer.
    /// </summary>
    public Func<int?>? FindMainProcess { get; init; }

    /// <summary>Whether it is known to have ended.</summary>
    public bool IsDead => FindProcess() is { } id && !ProcessStatus.IsAlive(id);

    /// <summary>Its process id; null where the service manager does not answer.</summary>
    public int? FindProcess() => processId ?? MainProcess();

    /// <inheritdoc/>
    public void Dispose() => Process?.Dispose();

    // Asked once, and only of a worker that keeps its launcher waiting: it takes another program.
    private int? MainProcess()
    {
        _mainProcess = _isAsked ? _mainProcess : FindMainProcess?.Invoke();
        _isAsked = true;
        return _mainProcess;
    }
}
