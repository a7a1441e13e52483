namespace Ublk.Tests.Qcow2.Crash;

/// <summary>
/// A power cut at any instant leaves an image without errors that has all that was flushed; the death of the worker leaves all that
/// was answered, also where the host's file fails. UBLK_SEEDS tells how many workloads to try (one for each kind of image by default),
/// UBLK_SEED which one alone, or which first; with UBLK_QEMU=1 qemu-img judges the image after each cut, not after a sample of them.
/// </summary>
public class CrashConsistencyTests(ITestOutputHelper output)
{
    [Fact]
    public void A_power_cut_or_the_death_of_the_worker_at_any_instant_loses_nothing_that_was_promised() => Run(hasFaults: false);

    [Fact]
    public void Errors_of_the_hosts_file_reach_the_client_and_do_no_harm() => Run(hasFaults: true);

    /// <summary>
    /// Workloads in which one caller of fdatasync(2), or a durable write, got the error for lost data, and another caller went on to
    /// point to it.
    /// </summary>
    [Theory]
    [InlineData(455, 5, false)]
    [InlineData(584, 8, false)]
    [InlineData(136, 16, true)]
    public void Data_that_is_lost_to_one_caller_is_lost_to_all(int seed, int kind, bool isCached)
    {
        using CrashRun run = new(seed, kind, hasFaults: true, isCached);
        run.Go();
    }

    private void Run(bool hasFaults)
    {
        int? only = Number("UBLK_SEED");
        int seeds = Number("UBLK_SEEDS") ?? (only is null ? ImageKind.Count : 1);
        int cuts = 0;
        int kills = 0;
        int failures = 0;
        int bitmaps = 0;
        for (int seed = only ?? 0; seed < (only ?? 0) + seeds; seed++)
        {
            using CrashRun run = new(seed, null, hasFaults);
            run.Go();
            cuts += run.Cuts;
            kills += run.Kills;
            failures += run.Failures;
            bitmaps += run.Bitmaps;
        }

        output.WriteLine($"{seeds} seeds, {cuts} power cuts, {kills} deaths, {failures} failed requests, "
            + $"{bitmaps} bitmaps that were not in use");
        Assert.True(cuts > 0 && kills > 0 && (failures > 0) == hasFaults && (bitmaps > 0 || only is not null));
    }

    private static int? Number(string name) => int.TryParse(Environment.GetEnvironmentVariable(name), out int number) ? number : null;
}
