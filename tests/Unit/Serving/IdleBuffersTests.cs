using System.Runtime.ExceptionServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Counters;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Rings;
using Ublk.Serving;
using Ublk.Targets;
using Ublk.Tests.Targets;

namespace Ublk.Tests.Serving;

/// <summary>An idle queue gives its buffers back, but never one that the driver has filled: on a double of the ring.</summary>
public class IdleBuffersTests
{
    private const int Length = 4096;

    private static readonly UblkIoDescriptor s_write = QueueHarness.Describe(IoOperation.Write, 0, Length);
    private static readonly UblkIoDescriptor s_read = QueueHarness.Describe(IoOperation.Read, Length, Length);

    [Fact]
    public void Buffers_of_an_idle_queue_are_given_back()
    {
        bool isZero = false;
        Serve(UblkFeatures.UringCmdCompInTask, ring => ring.Play(
            () => ring.Arrive(0, s_read),
            ring.Expire,
            () => Fill(ring, ring.Expire),
            () =>
            {
                isZero = !ring.BufferOf(0, Length).ContainsAnyExcept((byte)0);
                ring.End(0);
            }));
        Assert.True(isZero);
    }

    [Fact]
    public void A_write_that_comes_with_the_end_of_the_idle_time_keeps_its_data()
    {
        byte[] written = Serve(UblkFeatures.UringCmdCompInTask, ring => ring.Play(
            () => ring.Arrive(0, s_read),
            ring.Expire,
            () => Fill(ring, () =>
            {
                ring.Expire();
                ring.Arrive(0, s_write);
            }),
            () => ring.End(0)));
        Assert.False(written.AsSpan().ContainsAnyExcept((byte)7));
    }

    [Fact]
    public void A_write_whose_completion_waits_for_room_in_the_ring_keeps_its_data()
    {
        byte[] written = Serve(UblkFeatures.UringCmdCompInTask, ring => ring.Play(
            () => ring.Arrive(0, s_read),
            ring.Expire,
            () => Fill(ring, () =>
            {
                ring.Expire();
                ring.SetOverflow(true);
            }),
            () =>
            {
                ring.SetOverflow(false);
                ring.Arrive(0, s_write);
            },
            () => ring.End(0)));
        Assert.False(written.AsSpan().ContainsAnyExcept((byte)7));
    }

    [Fact]
    public void Without_task_work_of_the_ring_nothing_is_given_back()
    {
        // Such a driver fills buffers at any moment, so no timer is set at all.
        Serve(UblkFeatures.None, ring => ring.Play(
            () => ring.Arrive(0, s_read),
            () =>
            {
                Assert.Throws<InvalidOperationException>(ring.Expire);
                ring.End(0);
            }));
    }

    private static void Fill(ScriptedRing ring, Action then)
    {
        ring.BufferOf(0, Length).Fill(7);
        then();
    }

    // What the writes left in the disk's first block.
    private static byte[] Serve(UblkFeatures features, Action<ScriptedRing> prepare)
    {
        ExceptionDispatchInfo? failure = null;
        using MemoryTarget target = new(2 * Length);
        Thread thread = new(() =>
        {
            try
            {
                Serve(features, target, prepare);
            }
            catch (Exception exception)
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
        return target.Data[..Length];
    }

    private static void Serve(UblkFeatures features, BlockTarget target, Action<ScriptedRing> prepare)
    {
        using TemporaryFile descriptors = new(4096);
        using SafeFileHandle node = Libc.Open(descriptors.Path, Libc.O_RDWR);
        using CounterMemory counters = new(null, 1, []);
        RingSetup setup = RingSetup.Create(8, 16, RingSetup.QueueFlags);
        Assert.SkipUnless((setup.Parameters.Flags & IoUring.SetupDeferTaskRun) != 0, "needs a kernel that defers task work");
        ScriptedRing ring = new(setup, node);
        UblkDeviceInfo info = new() { QueueDepth = 1, MaxIoBufferBytes = Length, Flags = (ulong)features };
        prepare(ring);
        using QueueLoop loop = new(ring, node, new QueueShare(0, 0, 1), new QueueTeam(), info, target, counters.For(0, 1));
        loop.Run();
        Assert.All(ring.Answers, answer => Assert.Equal(Length, answer));
    }
}
