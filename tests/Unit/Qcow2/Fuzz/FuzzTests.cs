using Ublk.Tests.Qcow2.Crash;

namespace Ublk.Tests.Qcow2.Fuzz;

/// <summary>
/// Images that are garbage in places do no harm. UBLK_FUZZ tells how many to try (2000 by default), UBLK_SEED the first one's seed;
/// one that fails is kept where UBLK_FUZZ_KEEP says.
/// </summary>
public class FuzzTests(ITestOutputHelper output)
{
    // A hang ends the test with the input's seed, and not the patience of who waits for it.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    [Fact]
    public void Whatever_an_image_says_it_is_refused_or_requests_are_answered()
    {
        int count = Number("UBLK_FUZZ") ?? 2000;
        int first = Number("UBLK_SEED") ?? 0;
        int opened = 0;
        int seed = first;
        Exception? failure = null;
        Thread thread = new(() =>
        {
            using FuzzRun run = new();
            for (; seed < first + count && failure is null; Volatile.Write(ref seed, seed + 1))
            {
                failure = Try(run, seed, ref opened);
            }
        }) { IsBackground = true };
        thread.Start();
        for (int last = -1; !thread.Join(s_patience); last = Volatile.Read(ref seed))
        {
            Assert.True(last != Volatile.Read(ref seed), $"Seed {last} hangs. Replay it with UBLK_FUZZ=1 UBLK_SEED={last}.");
        }

        if (failure is not null)
        {
            throw failure;
        }

        output.WriteLine($"{count} inputs, {opened} of them opened");
        Assert.InRange(opened, int.Min(count, 2) / 2, count);
    }

    [Fact]
    public void What_did_harm_once_does_no_more()
    {
        using FuzzRun run = new();
        foreach (string path in Directory.EnumerateFiles(Path.Combine(Repository.Root, "tests/Unit/Qcow2/Corpus"), "*.qcow2"))
        {
            byte[] image = File.ReadAllBytes(path);
            for (int seed = 0; seed < 20; seed++)
            {
                run.Go(new Dictionary<string, byte[]> { [SimulatedImage.Name] = image }, image, new Random(seed));
            }
        }
    }

    private static InvalidOperationException? Try(FuzzRun run, int seed, ref int opened)
    {
        Random random = new(seed);
        ImageKind kind = ImageKind.Get((int)((uint)seed % (uint)ImageKind.Count));
        byte[] image = FuzzInput.Mutate(kind.Files[SimulatedImage.Name], random);
        try
        {
            opened += run.Go(kind.Files, image, random) ? 1 : 0;
            return null;
        }
        catch (Exception exception)
        {
            if (Environment.GetEnvironmentVariable("UBLK_FUZZ_KEEP") is { } folder)
            {
                File.WriteAllBytes(Path.Combine(folder, $"{seed}.qcow2"), image);
            }

            return new InvalidOperationException(
                $"Seed {seed} ({kind.Name}): {exception.Message} Replay it with UBLK_FUZZ=1 UBLK_SEED={seed}.", exception);
        }
    }

    private static int? Number(string name) => int.TryParse(Environment.GetEnvironmentVariable(name), out int number) ? number : null;
}
