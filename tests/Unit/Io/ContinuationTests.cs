using Ublk.Io;
using Ublk.Targets;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Io;

/// <summary>Whatever a target awaits, it goes on where the driver accepts its answer.</summary>
public class ContinuationTests
{
    [Fact]
    public void A_target_goes_on_on_the_queues_thread_after_a_timer_and_another_thread()
    {
        using WanderingTarget target = new();
        QueueHarness.Run(target, harness => harness.Saturate(200, _ => QueueHarness.Describe(IoOperation.Flush)));
    }

    [Fact]
    public void An_exception_before_an_await_reaches_whoever_awaits()
    {
        IoTask<int> task = ThrowAsync();
        Assert.True(task.IsCompleted);
        Assert.Throws<InvalidTimeZoneException>(() => task.Result);

        static async IoTask<int> ThrowAsync()
        {
            throw new InvalidTimeZoneException();
        }
    }

    [Fact]
    public void A_result_is_taken_once_and_not_before_it_is_there()
    {
        QueueWaiter waiter = new();
        IoTask<int> task = waiter.Task;
        Assert.Throws<InvalidOperationException>(() => task.Result);
        waiter.Complete(7);
        Assert.Equal(7, task.Result);
        Assert.Throws<InvalidOperationException>(() => task.Result);
    }

    [Fact]
    public void An_exception_after_an_await_reaches_whoever_awaits()
    {
        using ThrowingTarget target = new();
        QueueHarness.Run(target, harness =>
        {
            for (int i = 0; i < 3; i++)
            {
                Assert.Throws<InvalidTimeZoneException>(() => harness.Answer(QueueHarness.Describe(IoOperation.Flush)));
            }
        });
    }

    private sealed class WanderingTarget : BlockTarget
    {
        public override TargetGeometry Geometry { get; } = new() { Size = 1 << 20 };

        public override async IoTask<int> HandleAsync(IoRequest request)
        {
            int thread = Environment.CurrentManagedThreadId;
            await Task.Delay(1);
            int inner = await WanderAsync();
            return inner == 0 && thread == Environment.CurrentManagedThreadId ? 0 : -1;
        }

        private static async IoTask<int> WanderAsync()
        {
            int thread = Environment.CurrentManagedThreadId;
            await Task.Delay(1);
            bool isHome = thread == Environment.CurrentManagedThreadId;
            int other = await Task.Run(() => Environment.CurrentManagedThreadId);
            return isHome && other != thread && thread == Environment.CurrentManagedThreadId ? 0 : -1;
        }
    }

    private sealed class ThrowingTarget : BlockTarget
    {
        public override TargetGeometry Geometry { get; } = new() { Size = 1 << 20 };

        public override async IoTask<int> HandleAsync(IoRequest request)
        {
            await Task.Yield();
            throw new InvalidTimeZoneException();
        }
    }
}
