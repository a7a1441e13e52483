using System.Diagnostics;

namespace Ublk.Tests;

/// <summary>Programs from outside, as oracles.</summary>
internal static class Shell
{
    /// <summary>Runs a program that must succeed; returns what it printed.</summary>
    public static string Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        string output = process.StandardOutput.ReadToEnd();
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program}: {error}");
        return output;
    }
}
