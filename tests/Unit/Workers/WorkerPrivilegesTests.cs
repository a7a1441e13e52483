using System.Diagnostics;
using System.Globalization;
using Ublk.Workers;

namespace Ublk.Tests.Workers;

/// <summary>What a worker is started with is all that it and its children ever have.</summary>
public class WorkerPrivilegesTests
{
    // CAP_DAC_OVERRIDE, CAP_IPC_LOCK, CAP_SYS_ADMIN and CAP_SYS_RESOURCE (linux/capability.h).
    private const ulong Kept = 1UL << 1 | 1UL << 14 | 1UL << 21 | 1UL << 24;

    private static readonly string[] Sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

    [Fact]
    public void A_program_gets_no_other_capability_and_never_more()
    {
        OtherUser.RequireRoot();
        ulong own = Capabilities(File.ReadAllText("/proc/thread-self/status"), "CapEff");
        string status = Run("/proc/self/status");
        Assert.Contains("NoNewPrivs:\t1", status, StringComparison.Ordinal);
        Assert.Equal([0, own & Kept, own & Kept, own & Kept, 0], Sets.Select(set => Capabilities(status, set)));
    }

    [Fact]
    public void A_program_that_replaces_files_may_give_them_to_their_owner()
    {
        OtherUser.RequireRoot();
        using Process process = WorkerPrivileges.Start(
            new ProcessStartInfo("cat", ["/proc/self/status"]) { RedirectStandardOutput = true }, replacesFiles: true);
        ulong own = Capabilities(File.ReadAllText("/proc/thread-self/status"), "CapEff");
        Assert.Equal(own & (Kept | 1UL | 1UL << 3), Capabilities(process.StandardOutput.ReadToEnd(), "CapEff"));
    }

    [Fact]
    public void The_starting_thread_keeps_its_capabilities()
    {
        string before = Privileges();
        Run("/proc/self/status");
        Assert.Equal(before, Privileges());
    }

    [Fact]
    public void A_program_that_is_not_there_is_an_error_here() =>
        Assert.Throws<System.ComponentModel.Win32Exception>(() => WorkerPrivileges.Start(new ProcessStartInfo("/no/such/program")));

    private static string Run(string file)
    {
        using Process process = WorkerPrivileges.Start(new ProcessStartInfo("cat", [file]) { RedirectStandardOutput = true });
        return process.StandardOutput.ReadToEnd();
    }

    private static string Privileges() => string.Join('\n', File.ReadLines("/proc/thread-self/status")
        .Where(line => line.StartsWith("Cap", StringComparison.Ordinal) || line.StartsWith("NoNewPrivs", StringComparison.Ordinal)));

    private static ulong Capabilities(string status, string set)
    {
        string line = status.Split('\n').Single(line => line.StartsWith($"{set}:", StringComparison.Ordinal));
        return ulong.Parse(line.AsSpan(set.Length + 1).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }
}
