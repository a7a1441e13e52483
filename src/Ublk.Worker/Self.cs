using Ublk.Interop;
using Ublk.Specification;
using Ublk.Workers;

namespace Ublk.Worker;

/// <summary>This very program, started again: natively, or by the dotnet host that runs it.</summary>
/// <remarks>By the path that it was started by: a link such as /usr/lib/ublk/ublk-worker outlives the version that it leads to.</remarks>
internal static class Self
{
    private const string RuntimeDirectory = "XDG_RUNTIME_DIR";

    /// <summary>The program and the arguments that come before the verb.</summary>
    public static IReadOnlyList<string> Command { get; } = Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet"
        ? [Environment.ProcessPath!, Path.Combine(AppContext.BaseDirectory, "ublk-worker.dll")]
        : [Environment.GetCommandLineArgs()[0] is ['/', ..] path ? path : Environment.ProcessPath!];

    /// <summary>Starts it as a worker, which is then a child of this process.</summary>
    /// <param name="specification">The device it will serve.</param>
    /// <param name="channel">The name of its launcher's channel.</param>
    /// <returns>The process id.</returns>
    /// <exception cref="UblkException">It cannot be started.</exception>
    public static int StartWorker(DeviceSpecification specification, string channel) =>
        Start([WorkerArguments.Serve, .. WorkerArguments.ForServing(specification, channel)]);

    /// <summary>Starts it without waiting for it.</summary>
    /// <remarks>By posix_spawn(3) rather than the framework's Process, which would add a fifth to the worker's memory.</remarks>
    /// <param name="arguments">The verb and what it needs.</param>
    /// <returns>The process id.</returns>
    /// <exception cref="UblkException">It cannot be started.</exception>
    public static int Start(params string[] arguments)
    {
        // Where an ordinary user's records are; nothing else of the environment concerns a worker.
        string? runtime = Environment.GetEnvironmentVariable(RuntimeDirectory);
        string?[] environment = runtime is null ? [null] : [$"{RuntimeDirectory}={runtime}", null];
        string?[] command = [.. Command, .. arguments, null];
        int errno = Libc.PosixSpawn(out int processId, Command[0], 0, 0, command, environment);
        if (errno == Libc.ENOENT)
        {
            // The program was removed while its disk is in use. The kernel still has the file.
            errno = Libc.PosixSpawn(out processId, "/proc/self/exe", 0, 0, command, environment);
        }

        return errno == 0 ? processId : throw UblkException.FromErrno(errno, "posix_spawn", $"Cannot start {Command[0]}");
    }
}
