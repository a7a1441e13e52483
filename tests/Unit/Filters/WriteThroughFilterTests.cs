using Ublk.Filters;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets;
using Ublk.Tests.Serving;
using Ublk.Tests.Targets;

namespace Ublk.Tests.Filters;

/// <summary>A disk without a volatile cache answers a change when it is durable.</summary>
public class WriteThroughFilterTests
{
    private const int Block = 4096;

    [Fact]
    public void A_disk_that_writes_through_has_no_volatile_cache()
    {
        using BlockTarget disk = WriteThroughFilter.Wrap(new CachedTarget(forcesUnitAccess: true));
        Assert.False(disk.Geometry.VolatileCache);
    }

    [Fact]
    public void A_target_without_a_volatile_cache_needs_no_filter()
    {
        using MemoryTarget durable = new(Block);
        Assert.Same(durable, WriteThroughFilter.Wrap(durable));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Whatever_changes_the_disk_is_durable_when_it_is_answered(bool forcesUnitAccess)
    {
        CachedTarget target = new(forcesUnitAccess);
        using BlockTarget disk = WriteThroughFilter.Wrap(target);
        QueueHarness.Run(disk, harness =>
        {
            foreach (IoOperation operation in (IoOperation[])[IoOperation.Write, IoOperation.WriteZeroes, IoOperation.Discard])
            {
                int expected = operation == IoOperation.Write ? Block : 0;
                Assert.Equal(expected, harness.Answer(QueueHarness.Describe(operation, Block, Block), new byte[Block]));
                Assert.Equal(0, target.Volatile);
            }

            // A write that the target makes durable takes no flush.
            Assert.Equal(forcesUnitAccess ? 2 : 3, target.Flushes);
        });
    }

    [Fact]
    public void A_change_that_cannot_be_made_durable_fails()
    {
        CachedTarget target = new(forcesUnitAccess: false) { FlushResult = -Libc.ENOSPC };
        using BlockTarget disk = WriteThroughFilter.Wrap(target);
        QueueHarness.Run(disk, harness =>
            Assert.Equal(-Libc.ENOSPC, harness.Answer(QueueHarness.Describe(IoOperation.Write, 0, Block), new byte[Block])));
    }

    /// <summary>A target that counts what a power cut would take.</summary>
    private sealed class CachedTarget(bool forcesUnitAccess) : BlockTarget
    {
        public int Volatile { get; private set; }

        public int Flushes { get; private set; }

        public int FlushResult { get; init; }

        public override TargetGeometry Geometry { get; } = new()
        {
            Size = 1 << 20, VolatileCache = true, ForceUnitAccess = forcesUnitAccess, DiscardGranularity = Block, WriteZeroes = true,
        };

        public override IoTask<int> HandleAsync(IoRequest request)
        {
            if (request.Operation == IoOperation.Flush)
            {
                Flushes++;
                Volatile = FlushResult < 0 ? Volatile : 0;
                return FlushResult;
            }

            bool isDurable = forcesUnitAccess && request.Operation == IoOperation.Write && request.IsForceUnitAccess;
            Volatile += isDurable ? 0 : 1;
            return (int)request.Length;
        }
    }
}
