namespace Ublk.Tests.Qcow2.Crash;

/// <summary>
/// While an image is merged with its backing file and written, a power cut or the death of the worker at any instant loses nothing.
/// After the merge the destination has all data. UBLK_SEEDS is the number of workloads for each kind, starting from UBLK_SEED.
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
                using CrashRun run = new(seed, kind, hasFaults, merge: isUp ? MergeDirection.Up : MergeDirection.Down);
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
