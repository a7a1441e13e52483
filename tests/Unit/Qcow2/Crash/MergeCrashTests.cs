namespace Ublk.Tests.Qcow2.Crash;

/// <summary>
/// While an image is merged with its backing file and written, a power cut or the death of the worker at any instant loses nothing; and
/// at the end the file that got the data has all of it. UBLK_SEEDS tells how many workloads to try for each kind, from UBLK_SEED on.
/// </summary>
public class MergeCrashTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    internal void Nothing_is_lost(bool isUp, bool hasFaults)
    {
        int first = Number("UBLK_SEED") ?? 0;
        int seeds = Number("UBLK_SEEDS") ?? 3;
        int cuts = 0;
        int merges = 0;
        for (int kind = 0; kind < ImageKind.Count; kind++)
        {
            if (!ImageKind.Get(kind).Files.ContainsKey(SimulatedMerge.Base) || ImageKind.Get(kind).Name.StartsWith("version 2"))
            {
                continue;
            }

            for (int seed = first; seed < first + seeds; seed++)
            {
                using CrashRun run = new(seed, kind, hasFaults, isUp ? MergeDirection.Up : MergeDirection.Down);
                run.Go();
                cuts += run.Cuts;
                merges += run.Merges;
            }
        }

        output.WriteLine($"{cuts} power cuts, {merges} merges");
        Assert.True(cuts > 0 && merges > 0);
    }

    private static int? Number(string name) => int.TryParse(Environment.GetEnvironmentVariable(name), out int number) ? number : null;
}
