namespace Ublk.Tests;

public class DeadlineTests
{
    private static readonly TimeSpan Half = TimeSpan.FromSeconds(15);

    private readonly FakeClock _clock = new();

    [Fact]
    public void Is_over_when_the_time_has_passed()
    {
        Deadline deadline = new(2 * Half, _clock);
        Assert.Equal(2 * Half, deadline.Left);
        _clock.Advance(Half);
        Assert.False(deadline.IsOver);
        Assert.Equal(Half, deadline.Left);
        _clock.Advance(Half);
        Assert.True(deadline.IsOver);
        _clock.Advance(Half);
        Assert.Equal(TimeSpan.Zero, deadline.Left);
    }

    [Fact]
    public void Gives_the_whole_time_again_after_a_restart()
    {
        Deadline deadline = new(2 * Half, _clock);
        _clock.Advance(2 * Half);
        deadline.Restart();
        Assert.False(deadline.IsOver);
        Assert.Equal(2 * Half, deadline.Left);
    }

    [Fact]
    public void Without_a_timeout_is_never_over()
    {
        Deadline deadline = new(Timeout.InfiniteTimeSpan, _clock);
        _clock.Advance(TimeSpan.FromDays(10_000));
        Assert.False(deadline.IsOver);
        Assert.Equal(Timeout.InfiniteTimeSpan, deadline.Left);
    }

    [Fact]
    public void A_wait_ends_when_the_condition_holds_or_the_time_is_up()
    {
        Deadline deadline = new(2 * Half, _clock);
        int checks = 0;
        Assert.True(deadline.Wait(() => ++checks == 3, TestContext.Current.CancellationToken));
        Assert.Equal(3, checks);

        Assert.False(deadline.Wait(
            () =>
            {
                _clock.Advance(Half);
                return false;
            },
            TestContext.Current.CancellationToken));
        Assert.True(deadline.Wait(() => true, TestContext.Current.CancellationToken));
    }

    [Fact]
    public void A_wait_can_be_cancelled()
    {
        using CancellationTokenSource stop = new();
        Assert.Throws<OperationCanceledException>(() => new Deadline(Timeout.InfiniteTimeSpan, _clock).Wait(
            () =>
            {
                stop.Cancel();
                return false;
            },
            stop.Token));
    }
}
