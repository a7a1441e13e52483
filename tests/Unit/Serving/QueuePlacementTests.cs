using Ublk.Control;
using Ublk.Serving;

namespace Ublk.Tests.Serving;

/// <summary>Queues stay on one CPU each and spread over those there are.</summary>
public class QueuePlacementTests
{
    [Theory]
    [InlineData(0, 0, "0-3", "0-3", "0")]
    [InlineData(1, 0, "0-3", "0-3", "1")]
    [InlineData(5, 0, "0-3", "0-3", "1")]
    [InlineData(0, 1, "2-3", "0-3", "3")]
    [InlineData(0, 0, "0-3", "2", "2")]
    [InlineData(0, 0, "0-1", "4-5", "4")]
    public void A_queue_gets_one_cpu_of_the_kernels_that_is_allowed(
        int device, int queue, string kernel, string allowed, string expected) =>
        Assert.Equal(expected, QueuePlacement.Spread(device, new QueueShare(queue, 0, 1), CpuSet.Parse(kernel), CpuSet.Parse(allowed))
            .ToString());

    [Fact]
    public void The_users_choice_goes_before()
    {
        CpuSet kernel = CpuSet.Parse("0-7");
        Assert.Equal("5-6", QueuePlacement.Choose(["5-6"], 0, new QueueShare(1, 0, 1), kernel).ToString());
        Assert.Equal("3", QueuePlacement.Choose(["2", "3"], 0, new QueueShare(1, 0, 1), kernel).ToString());
    }

    [Theory]
    [InlineData(0, 2, "0-3", "0,1")]
    [InlineData(1, 2, "0-3", "2,3")]
    [InlineData(0, 3, "4-5", "4,5,4")]
    public void The_threads_of_a_queue_get_different_cpus_while_there_are_some(int queue, int threads, string kernel, string expected) =>
        Assert.Equal(expected, string.Join(',', Enumerable.Range(0, threads)
            .Select(index => QueuePlacement.Spread(0, new QueueShare(queue, index, threads), CpuSet.Parse(kernel), CpuSet.Parse("0-7")))));

    [Theory]
    [InlineData(2, "4-7", "4,6 5,7")]
    [InlineData(3, "4-7", "4,7 5 6")]
    [InlineData(3, "4-5", "4-5 4-5 4-5")]
    public void The_users_list_is_dealt_out_where_it_has_a_cpu_for_each(int threads, string list, string expected) =>
        Assert.Equal(expected, string.Join(' ', Enumerable.Range(0, threads)
            .Select(index => QueuePlacement.Choose([list], new QueueShare(0, index, threads)))));
}
