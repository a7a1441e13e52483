using System.ComponentModel;
using System.Diagnostics;

namespace Ublk.Processes;

/// <summary>Programs of the system that end by themselves.</summary>
internal static class ExternalProgram
{
    /// <summary>Runs a program to its end, for its exit status alone.</summary>
    /// <param name="file">The program, by path or by name.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="error">What it complained of, or why it cannot be run.</param>
    /// <returns>Whether it ended well.</returns>
    public static bool TryRun(string file, IEnumerable<string> arguments, out string error) => TryRun(file, arguments, out _, out error);

    /// <summary>The same, with what the program prints.</summary>
    /// <param name="file">The program, by path or by name.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="output">What it printed.</param>
    /// <param name="error">What it complained of, or why it cannot be run.</param>
    /// <returns>Whether it ended well.</returns>
    public static bool TryRun(string file, IEnumerable<string> arguments, out string output, out string error)
    {
        output = "";
        ProcessStartInfo start = new(file, arguments)
        {
            WorkingDirectory = "/",
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            using Process process = Process.Start(start)!;
            process.StandardInput.Close();
            Task<string> complaint = process.StandardError.ReadToEndAsync();
            output = process.StandardOutput.ReadToEnd().Trim();
            error = complaint.GetAwaiter().GetResult().Trim();
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (Win32Exception exception)
        {
            error = exception.Message;
            return false;
        }
    }
}
