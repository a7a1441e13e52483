using Ublk.Catalog;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Targets.Loop;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Filters;

/// <summary>A disk with faults (the filters HangEvery, Delay and ErrorRate) has those it was told to have and no others.</summary>
public class FaultFilterTests
{
    private const int Block = 4096;
    private const int Blocks = 1000;

    [Fact]
    public void Without_faults_it_is_the_file()
    {
        int[] results = Write(("Seed", "1"), ("ErrorRate", "0"));
        Assert.All(results, result => Assert.Equal(Block, result));
    }

    [Theory]
    [InlineData("EIO", -5)]
    [InlineData("enospc", -28)]
    [InlineData("ENODATA", -61)]
    [InlineData("ETIMEDOUT", -110)]
    public void At_a_rate_of_1_every_request_fails_with_the_errno_chosen(string kind, int errno) =>
        Assert.All(Write(("ErrorRate", "1"), ("ErrorKind", kind)), result => Assert.Equal(errno, result));

    [Fact]
    public void The_same_seed_fails_the_same_requests_and_another_seed_others()
    {
        int[] first = Write(("ErrorRate", "0.1"), ("Seed", "7"));
        Assert.Equal(first, Write(("ErrorRate", "0.1"), ("Seed", "7")));
        Assert.NotEqual(first, Write(("ErrorRate", "0.1"), ("Seed", "8")));
    }

    [Theory]
    [InlineData("0.1", 50, 150)]
    [InlineData("0.5", 420, 580)]
    [InlineData("1e-9", 0, 0)]
    public void As_many_fail_as_the_rate_says(string rate, int least, int most) =>
        Assert.InRange(Write(("ErrorRate", rate)).Count(result => result < 0), least, most);

    [Fact]
    public void A_failed_write_changes_nothing_and_a_read_that_succeeds_is_true()
    {
        using TemporaryFile file = new(Blocks * Block);
        int[] results = Write(file, ("ErrorRate", "0.3"));
        byte[] content = file.Content;
        for (int i = 0; i < Blocks; i++)
        {
            Assert.Equal(results[i] < 0, content.AsSpan(i * Block, Block).IndexOfAnyExcept((byte)0) < 0);
        }
    }

    [Fact]
    public void Only_the_operations_chosen_fail()
    {
        using TemporaryFile file = new(Blocks * Block);
        using BlockTarget target = Open(file, ("ErrorRate", "1"), ("ErrorOn", "flush,Discard"));
        QueueHarness.Run(target, harness =>
        {
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), new byte[Block]));
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Write, 0, Block), new byte[Block]));
            Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.WriteZeroes, 0, Block)));
            Assert.Equal(-Libc.EIO, harness.Answer(QueueHarness.Describe(IoOperation.Flush)));
            Assert.Equal(-Libc.EIO, harness.Answer(QueueHarness.Describe(IoOperation.Discard, 0, Block)));
        });
    }

    [Fact]
    public void Delays_of_many_requests_pass_together_and_none_is_shorter_than_asked()
    {
        using TemporaryFile file = new(Blocks * Block);
        using BlockTarget target = Open(file, ("Delay", "20"));
        QueueHarness.Run(target, harness =>
        {
            long start = Environment.TickCount64;
            harness.Saturate(640, number => QueueHarness.Describe(IoOperation.Read, number * Block, Block));

            // 640 requests, 64 at a time; one after the other they would take 12.8 s.
            Assert.InRange(Environment.TickCount64 - start, 200, 10_000);
        });
    }

    [Fact]
    public void Each_nth_request_is_never_answered()
    {
        using TemporaryFile file = new(Blocks * Block);
        using BlockTarget target = Open(file, ("HangEvery", "3"), ("ErrorRate", "1"));
        QueueHarness.Run(target, harness =>
        {
            // An error is an answer at once, so that what is not answered at once hangs.
            bool[] answers = [.. Enumerable.Range(0, 9).Select(_ => harness.IsAnsweredAtOnce(QueueHarness.Describe(IoOperation.Flush)))];
            Assert.Equal([true, true, false, true, true, false, true, true, false], answers);
        });
    }

    [Theory]
    [InlineData("ErrorRate", "-0.1")]
    [InlineData("ErrorRate", "1.01")]
    [InlineData("ErrorRate", "NaN")]
    [InlineData("ErrorRate", "1%")]
    [InlineData("Delay", "-1")]
    [InlineData("Delay", "1.5")]
    [InlineData("HangEvery", "-1")]
    [InlineData("Seed", "x")]
    [InlineData("ErrorKind", "EWHAT")]
    [InlineData("ErrorOn", "Read,Wipe")]
    [InlineData("ErrorOn", "")]
    public void Options_out_of_range_are_refused(string option, string value)
    {
        string filter = FilterOf(option);
        Dictionary<string, string> options = new() { [filter] = "1", [option] = value };
        UblkException exception = Assert.Throws<UblkException>(() => FilterCatalog.Check(new UblkFilter(filter, options)));
        Assert.Equal(UblkError.InvalidArgument, exception.Error);
        Assert.Contains(option, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ErrorKind", "EIO")]
    [InlineData("ErrorOn", "Read")]
    [InlineData("Seed", "1")]
    public void What_concerns_errors_is_refused_where_there_are_none(string option, string value)
    {
        using TemporaryFile file = new(Block);
        Assert.Equal(UblkError.InvalidArgument, Assert.Throws<UblkException>(() => Open(file, (option, value))).Error);
    }

    private static int[] Write(params (string Name, string Value)[] options)
    {
        using TemporaryFile file = new(Blocks * Block);
        return Write(file, options);
    }

    // What became of a write to each block, one after the other.
    private static int[] Write(TemporaryFile file, params (string Name, string Value)[] options)
    {
        int[] results = new int[Blocks];
        byte[] data = [.. Enumerable.Repeat((byte)7, Block)];
        using BlockTarget target = Open(file, options);
        QueueHarness.Run(target, harness =>
        {
            for (int i = 0; i < Blocks; i++)
            {
                results[i] = harness.Answer(QueueHarness.Describe(IoOperation.Write, i * Block, Block), data);
            }
        });
        return results;
    }

    // A request meets them in this order.
    private static BlockTarget Open(TemporaryFile file, params (string Name, string Value)[] options)
    {
        UblkFilter[] filters =
        [
            .. new[] { "HangEvery", "Delay", "ErrorRate" }
                .Select(name => new UblkFilter(
                    name, options.Where(option => FilterOf(option.Name) == name)
                        .ToDictionary(option => option.Name, option => option.Value)))
                .Where(filter => filter.Options.Count > 0),
        ];
        Array.ForEach(filters, filter => FilterCatalog.Check(filter));
        return FilterStack.Open(filters, LoopTarget.Open, new TargetOptions(new Dictionary<string, string> { ["Path"] = file.Path }));
    }

    private static string FilterOf(string option) => option is "HangEvery" or "Delay" ? option : "ErrorRate";
}
