using System.Runtime.CompilerServices;
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
        using WanderingTarget target = new(pooled: false);
        QueueHarness.Run(target, harness => Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.Flush))));
    }

    [Fact]
    public void So_does_one_with_the_pooled_builder()
    {
        using WanderingTarget target = new(pooled: true);
        QueueHarness.Run(target, harness => harness.Saturate(200, _ => QueueHarness.Describe(IoOperation.Flush)));
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

    private sealed class WanderingTarget(bool pooled) : BlockTarget
    {
        public override TargetGeometry Geometry { get; } = new() { Size = 1 << 20 };

        public override ValueTask<int> HandleAsync(IoRequest request) => pooled ? PooledAsync() : PlainAsync();

        private static async ValueTask<int> PlainAsync()
        {
            int thread = Environment.CurrentManagedThreadId;
            await Task.Delay(1);
            bool isHome = thread == Environment.CurrentManagedThreadId;
            int other = await Task.Run(() => Environment.CurrentManagedThreadId);
            return isHome && other != thread && thread == Environment.CurrentManagedThreadId ? 0 : -1;
        }

        [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
        private static async ValueTask<int> PooledAsync()
        {
            int thread = Environment.CurrentManagedThreadId;
            await Task.Delay(1);
            int inner = await PlainAsync();
            return inner == 0 && thread == Environment.CurrentManagedThreadId ? 0 : -1;
        }
    }

    private sealed class ThrowingTarget : BlockTarget
    {
        public override TargetGeometry Geometry { get; } = new() { Size = 1 << 20 };

        [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
        public override async ValueTask<int> HandleAsync(IoRequest request)
        {
            await Task.Yield();
            throw new InvalidTimeZoneException();
        }
    }
}
