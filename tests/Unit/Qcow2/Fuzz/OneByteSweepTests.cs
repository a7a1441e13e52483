using System.Collections.Concurrent;

namespace Ublk.Tests.Qcow2.Fuzz;

/// <summary>
/// One byte of an image's metadata is changed, and something writes the image: it refuses, or what qemu could read stays as it was.
/// UBLK_TEST_ITERATIONS tells how many times a hundred images to try (5 by default), UBLK_SEED the first one's seed.
/// </summary>
public class OneByteSweepTests(ITestOutputHelper output)
{
    [Fact]
    public void What_qemu_reads_outlives_whatever_writes_a_damaged_image()
    {
        int first = Number("UBLK_SEED") ?? 0;
        int count = Number("UBLK_TEST_ITERATIONS") is { } hundreds ? hundreds * 100 : 500;
        ConcurrentBag<string> failures = [];
        ConcurrentDictionary<string, int> outcomes = [];
        Parallel.For(first, first + count, new ParallelOptions { MaxDegreeOfParallelism = 2 }, seed =>
        {
            using OneByteRun run = new(seed);
            string outcome = run.Go();
            outcomes.AddOrUpdate(outcome, 1, (_, number) => number + 1);
            if (run.Failure is { } failure)
            {
                failures.Add($"{run}: {failure} Replay it with UBLK_TEST_ITERATIONS=1 UBLK_SEED={seed}.");
            }
        });
        output.WriteLine(string.Join(", ", outcomes.OrderBy(outcome => outcome.Key).Select(outcome => $"{outcome.Key}: {outcome.Value}")));
        Assert.True(failures.IsEmpty, $"{failures.Count} failures:\n{string.Join("\n", failures.Order().Take(20))}");
        Assert.True(outcomes.ContainsKey(OneByteRun.Written) && outcomes.ContainsKey(OneByteRun.Refused));
    }

    private static int? Number(string name) => int.TryParse(Environment.GetEnvironmentVariable(name), out int number) ? number : null;
}
