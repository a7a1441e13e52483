using System.Diagnostics;
using Ublk.Processes;

namespace Ublk.Workers;

/// <summary>Where no service manager runs: a program that outlives its caller, in a mount namespace of its own.</summary>
/// <remarks>The program itself leaves the caller's session (setsid(2)), which it must do before anything else.</remarks>
internal sealed class DetachedProcess : IDisposable
{
    private const string RuntimeDirectory = "XDG_RUNTIME_DIR";

    private readonly Process _process;

    private DetachedProcess(Process process) => _process = process;

    /// <summary>Its process id.</summary>
    public int Id => _process.Id;

    /// <summary>Starts a program without waiting for it.</summary>
    /// <param name="file">The program.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <exception cref="System.ComponentModel.Win32Exception">It cannot be started.</exception>
    public static DetachedProcess Start(string file, IEnumerable<string> arguments)
    {
        // With every stream redirected the framework leaves the terminal as it is, and it buries the child when it dies.
        ProcessStartInfo start = new(file, arguments)
        {
            WorkingDirectory = "/",
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };

        // Where an ordinary user's records are; nothing else of the environment concerns a worker.
        string? runtime = Environment.GetEnvironmentVariable(RuntimeDirectory);
        start.Environment.Clear();
        if (runtime is not null)
        {
            start.Environment[RuntimeDirectory] = runtime;
        }

        return new DetachedProcess(WorkerPrivileges.Start(start, MountNamespace.Leave));
    }

    /// <summary>What the program complained of, once it is dead.</summary>
    public string ReadComplaint() => _process.StandardError.ReadToEnd().Trim();

    /// <summary>Closes the handles; the program continues.</summary>
    public void Dispose() => _process.Dispose();
}
