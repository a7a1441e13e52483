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
        Assert.Equal(expected, QueuePlacement.Spread(device, queue, CpuSet.Parse(kernel), CpuSet.Parse(allowed)).ToString());

    [Fact]
    public void The_users_choice_goes_before()
    {
        CpuSet kernel = CpuSet.Parse("0-7");
        Assert.Equal("5-6", QueuePlacement.Choose(["5-6"], 0, 1, kernel).ToString());
        Assert.Equal("3", QueuePlacement.Choose(["2", "3"], 0, 1, kernel).ToString());
    }
}
