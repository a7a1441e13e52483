using Ublk.Launching;

namespace Ublk.Tests.Launching;

/// <summary>A worker that gets on says so, however long it takes.</summary>
public class OpeningProgressTests
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    [Fact]
    public void Computing_is_progress()
    {
        using CountdownEvent reports = new(3);
        using OpeningProgress progress = new(() => Count(reports), Interval);
        double sum = 0;
        while (!reports.IsSet)
        {
            sum += Math.Sqrt(sum + 1);
        }

        Assert.True(sum > 0);

        static void Count(CountdownEvent reports)
        {
            if (!reports.IsSet)
            {
                reports.Signal();
            }
        }
    }

    [Fact]
    public void Reading_and_writing_is_progress() =>
        Assert.Equal(37, OpeningProgress.Transferred(["rchar: 30", "wchar: 7", "syscr: 100", "read_bytes: 4096"]));

    [Fact]
    public void Nothing_is_reported_once_it_is_over()
    {
        bool isOver = false;
        bool isLate = false;
        using (new OpeningProgress(() => isLate |= Volatile.Read(ref isOver), TimeSpan.FromMilliseconds(1)))
        {
            File.ReadAllBytes(typeof(OpeningProgressTests).Assembly.Location);
        }

        Volatile.Write(ref isOver, true);
        File.ReadAllBytes(typeof(OpeningProgressTests).Assembly.Location);
        Assert.False(isLate);
    }
}
