using System.Diagnostics;

namespace Ublk.Tests;

/// <summary>Programs from outside, as oracles.</summary>
internal static class Shell
{
    // qemu first measures how fast its thread derives keys, and gives up where other threads keep it from its CPU.
    private const string NoMeasure = "Unable to get accurate CPU usage";
    private const int MaxTries = 20;

    /// <summary>Runs a program that must succeed; returns what it printed.</summary>
    public static string Run(string program, params string[] arguments)
    {
        for (int attempt = 1; ; attempt++)
        {
            using Process process = Process.Start(new ProcessStartInfo(program, arguments)
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            string output = process.StandardOutput.ReadToEnd();
            string error = process.StandardError.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode == 0 || attempt == MaxTries || !error.Contains(NoMeasure, StringComparison.Ordinal))
            {
                Assert.True(process.ExitCode == 0, $"{program}: {error}");
                return output;
            }
        }
    }
}
