using System.Collections;
using System.Globalization;
using Ublk.Interop;

namespace Ublk.Worker;

/// <summary>A program that serves a disk's worker, with a socket to listen on, and ends with the worker however that ends.</summary>
internal static class CompanionProgram
{
    // Of systemd's socket activation (sd_listen_fds(3)): the first socket is file 3.
    private const string ListenCount = "LISTEN_FDS";
    private const string ListenProcess = "LISTEN_PID";

    /// <summary>Becomes the program.</summary>
    /// <param name="parent">The worker's process.</param>
    /// <param name="program">The program's file.</param>
    /// <param name="arguments">The name that the program is called by, and its arguments.</param>
    /// <returns>The exit code, where that is impossible.</returns>
    public static int Become(int parent, string program, string[] arguments)
    {
        // In a session of its own the worker reaches all that it starts.
        _ = Libc.SetSid();
        _ = Libc.PrCtl(Libc.PR_SET_PDEATHSIG, Libc.SIGKILL, 0, 0, 0);
        if (Libc.GetParentProcessId() != parent)
        {
            return ExitCode.Unavailable;
        }

        // The runtime ignores it, and what is ignored stays so.
        _ = Libc.SetSignal(Libc.SIGPIPE, Libc.DefaultAction);
        IEnumerable<string> environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .Where(variable => variable.Key is not (ListenCount or ListenProcess))
            .Select(variable => $"{variable.Key}={variable.Value}");
        _ = Libc.Execute(program, [.. arguments, null],
            [.. environment, $"{ListenCount}=1", $"{ListenProcess}={Environment.ProcessId.ToString(CultureInfo.InvariantCulture)}", null]);
        Console.Error.WriteLine($"{program} cannot be executed: {Libc.Describe(Libc.LastErrno)}.");
        return ExitCode.Unavailable;
    }
}
