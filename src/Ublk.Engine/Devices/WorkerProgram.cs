using System.ComponentModel;
using System.Runtime.InteropServices;
using Ublk.Interop;
using Ublk.Serving;

namespace Ublk.Devices;

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

    // An ordinary user's service manager has a socket where he logged in.
    private static bool IsSystemdRunning => IsRoot
        ? ServiceManager.IsRunning
        : File.Exists($"{Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR")}/systemd/private");

    // What needs root.
    private static string[] ManagerOptions => IsRoot
        ? ["--property=PrivateMounts=yes", "--property=OOMScoreAdjust=-1000"]
        : ["--user"];

    /// <summary>Finds the program.</summary>
    /// <param name="directory">The module's folder of workers: one for each platform, and <c>portable</c>.</param>
    /// <exception cref="UblkException">There is none that can be executed.</exception>
    public static WorkerProgram Locate(string directory)
    {
        string native = Path.Combine(directory, Platform, "ublk-worker");
        if (File.Exists(native))
        {
            return IsExecutable(native)
                ? new WorkerProgram(native)
                : throw Missing($"The worker program {native} is not executable. Make it so: chmod +x '{native}'");
        }

        string portable = Path.Combine(directory, "portable", "ublk-worker.dll");
        if (!File.Exists(portable))
        {
            throw Missing($"The worker program {native} is missing. Install the module again.");
        }

        string host = FindDotnet() ?? throw Missing(
            $"The module has no worker program for {Platform}, and there is no dotnet to run the portable one. Install the .NET runtime.");
        return new WorkerProgram(host, portable);
    }

    /// <summary>The executable.</summary>
    /// <exception cref="UblkException">The worker is run by the dotnet host.</exception>
    public string NativeFile => _firstArguments is []
        ? _file
        : throw Missing($"The module has no native worker program for {Platform}, which this takes.");

    /// <summary>Starts the worker so that it outlives the caller, the shell and the terminal.</summary>
    /// <exception cref="UblkException">It could not be started.</exception>
    public StartedWorker Start(DeviceSpecification specification, string channel)
    {
        string[] arguments = Arguments(specification, channel);
        string verb = specification.AutoRestore ? "supervise" : "serve";
        return IsSystemdRunning ? StartUnit(specification, [verb, .. arguments]) : StartDetached([verb, .. arguments]);
    }

    /// <summary>The worker's arguments: those before the last two are read by people in ps, and by nobody else.</summary>
    public static string[] Arguments(DeviceSpecification specification, string channel) =>
        [.. Describe(specification), "--launcher", channel];

    private StartedWorker StartUnit(DeviceSpecification specification, IEnumerable<string> arguments)
    {
        IEnumerable<string> command =
        [
            "--quiet", "--collect", $"--unit=ublk-{specification.Id}", $"--description=ublk device {specification.Id}",
            // Not stopped by a shutdown, which would take the disk before it is unmounted: the last programs are ended after that.
            "--property=DefaultDependencies=no",
            "--property=Type=exec", "--property=WorkingDirectory=/", "--property=KillMode=mixed", "--property=OOMPolicy=continue",
            "--property=SyslogIdentifier=ublk", .. ManagerOptions, "--", _file, .. _firstArguments, .. arguments,
        ];
        return ExternalProgram.TryRun("systemd-run", command, out string error)
            ? new StartedWorker(ProcessId: null)
            : throw new UblkException(UblkError.WorkerDied, $"The worker could not be started: {error}");
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
            throw Missing($"Cannot run {_file}: {exception.Message}.");
        }
    }

    private static IEnumerable<string> Describe(DeviceSpecification specification)
    {
        yield return "--id";
        yield return $"{specification.Id}";
        yield return "--target";
        yield return specification.Target;
        if (specification.Options.TryGetValue("Path", out string? path))
        {
            yield return "--path";
            yield return path;
        }
    }

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

    private static string? FindDotnet()
    {
        string? root = Environment.GetEnvironmentVariable("DOTNET_ROOT");
        IEnumerable<string> directories = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
            .Prepend(root ?? "").Append("/usr/share/dotnet").Append("/usr/lib/dotnet");
        return directories.Where(directory => directory.Length > 0)
            .Select(directory => Path.Combine(directory, "dotnet")).FirstOrDefault(File.Exists);
    }

    private static UblkException Missing(string message) => new(UblkError.WorkerMissing, message);
}
