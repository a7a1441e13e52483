using CsCheck;
using Ublk.Counters;

namespace Ublk.Tests.Counters;

/// <summary>The steps in which times and sizes are counted.</summary>
public class CounterBlockTests
{
    [Fact]
    public unsafe void A_block_has_room_for_all_it_counts() => Assert.Equal(CounterBlock.Size, sizeof(CounterBlock));

    [Fact]
    public void A_time_lies_in_its_step() => Gen.Long[0, CounterBlock.LeastTime(CounterBlock.Times) - 1].Sample(time =>
    {
        int step = CounterBlock.TimeStep(time);
        Assert.InRange(time, CounterBlock.LeastTime(step), CounterBlock.LeastTime(step + 1) - 1);
    });

    [Fact]
    public void Steps_of_times_follow_each_other_and_are_an_eighth_of_a_doubling()
    {
        for (int step = 8; step < CounterBlock.Times; step++)
        {
            Assert.Equal(step, CounterBlock.TimeStep(CounterBlock.LeastTime(step)));
            Assert.InRange((double)CounterBlock.LeastTime(step + 1) / CounterBlock.LeastTime(step), 1.06, 1.126);
        }
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(-1, 0)]
    [InlineData(31, 0)]
    [InlineData(32, 1)]
    [InlineData(long.MaxValue, CounterBlock.Times - 1)]
    public void Times_at_the_ends_are_counted_too(long time, int step) => Assert.Equal(step, CounterBlock.TimeStep(time));

    [Theory]
    [InlineData(512, 512)]
    [InlineData(513, 1024)]
    [InlineData(4096, 4096)]
    [InlineData(32 << 20, 32 << 20)]
    [InlineData(1L << 40, 32 << 20)]
    [InlineData(0, 512)]
    public void A_size_is_counted_with_those_up_to_a_power_of_two(long size, long greatest) =>
        Assert.Equal(greatest, CounterBlock.GreatestSize(CounterBlock.SizeStep(size)));
}
