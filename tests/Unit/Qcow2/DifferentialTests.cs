namespace Ublk.Tests.Qcow2;

/// <summary>
/// Random combinations of features: what qemu's tools and ours do to an image by turns, both read. UBLK_SEEDS tells how many (6 by
/// default), UBLK_SEED the first.
/// </summary>
public class DifferentialTests
{
    [Fact]
    public void Our_tools_and_qemus_change_the_same_image_by_turns_and_agree_on_all_of_it()
    {
        int first = Number("UBLK_SEED") ?? 0;
        for (int seed = first; seed < first + (Number("UBLK_SEEDS") ?? 6); seed++)
        {
            DifferentialRun? run = null;
            try
            {
                run = new DifferentialRun(new Random(seed));
                run.Go();
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException(
                    $"Seed {seed} ({run?.Story}): {exception.Message} Replay it with UBLK_SEED={seed} UBLK_SEEDS=1.", exception);
            }
            finally
            {
                run?.Dispose();
            }
        }
    }

    private static int? Number(string name) => int.TryParse(Environment.GetEnvironmentVariable(name), out int number) ? number : null;
}
