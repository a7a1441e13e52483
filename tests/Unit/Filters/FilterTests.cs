using Ublk.Catalog;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Targets.Null;
using Ublk.Tests.Serving;
using Ublk.Tests.Targets;

namespace Ublk.Tests.Filters;

/// <summary>Filters do what they say, alone and in stacks, and are not there where nobody asked for them.</summary>
public class FilterTests
{
    private const int Size = 1 << 20;
    private const int Block = 4096;

    [Theory]
    [InlineData("")]
    [InlineData("Overlay")]
    [InlineData("Cache")]
    [InlineData("Cache=16384")]
    [InlineData("Offset=8192;Length=65536")]
    [InlineData("Delay=0 HangEvery=0 ErrorRate=0")]
    [InlineData("RateLimit=100000000000;RequestLimit=1000000000")]
    [InlineData("Cache=8192 Offset=4096 Overlay")]
    [InlineData("Overlay Cache=40960 Offset=512")]
    [InlineData("Overlay Overlay Offset=512 Offset=512")]
    public void A_disk_behind_filters_is_a_disk(string filters)
    {
        MemoryTarget memory = new(Size);
        new Random(1).NextBytes(memory.Data);
        using BlockTarget disk = Open(memory, filters.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        byte[] model = new byte[disk.Geometry.Size];
        QueueHarness.Run(disk, harness =>
        {
            Read(harness, 0, model);
            Random chance = new(2);
            for (int i = 0; i < 2000; i++)
            {
                Step(harness, chance, model, disk.Geometry);
            }

            Assert.Equal(model, Read(harness, 0, new byte[model.Length]));
        }, bufferSize: Size);
    }

    [Fact]
    public void Without_filters_the_target_is_all_there_is()
    {
        using MemoryTarget memory = new(Size);
        Assert.Same(memory, Open(memory));
    }

    [Fact]
    public void A_stack_is_disposed_with_what_is_behind_it_and_so_is_one_that_cannot_be_opened()
    {
        MemoryTarget memory = new(Size);
        Open(memory, "Overlay", "Cache", "ReadOnly").Dispose();
        Assert.True(memory.IsDisposed);

        MemoryTarget other = new(Size);
        Assert.Throws<UblkException>(() => Open(other, "Offset=100", "Cache"));
        Assert.True(other.IsDisposed);
    }

    [Fact]
    public void Requests_meet_filters_in_the_order_given()
    {
        // What the cache has, the errors behind it cannot reach.
        MemoryTarget memory = new(Size);
        using BlockTarget disk = Open(memory, "Cache", "ErrorRate=0.5;ErrorOn=Read;Seed=3");
        QueueHarness.Run(disk, harness =>
        {
            while (harness.Answer(QueueHarness.Describe(IoOperation.Read, 0, Block), new byte[Block]) < 0)
            {
            }

            Assert.All(Enumerable.Range(0, 100), _ => Read(harness, 0, new byte[Block]));
        });
    }

    [Fact]
    public void A_cache_asks_once_and_forgets_what_is_changed()
    {
        MemoryTarget memory = new(Size);
        using BlockTarget disk = Open(memory, "Cache");
        QueueHarness.Run(disk, harness =>
        {
            Read(harness, 0, new byte[Block * 4]);
            Read(harness, Block, new byte[512]);
            Assert.Equal(1, memory.Requests);
            byte[] data = [.. Enumerable.Repeat((byte)9, 512)];
            Assert.Equal(512, harness.Answer(QueueHarness.Describe(IoOperation.Write, Block + 512, 512), data));
            Assert.Equal(data, Read(harness, Block + 512, new byte[512]));
            Assert.Equal(3, memory.Requests);
            Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.Discard, 0, Block * 4)));
            Assert.Equal(new byte[Block * 4], Read(harness, 0, new byte[Block * 4]));
        });
    }

    [Fact]
    public void An_overlay_in_memory_leaves_the_disk_as_it_is()
    {
        MemoryTarget memory = new(Size);
        new Random(1).NextBytes(memory.Data);
        byte[] before = [.. memory.Data];
        using BlockTarget disk = Open(memory, "Overlay");
        Assert.False(disk.Geometry.ReadOnly);
        QueueHarness.Run(disk, harness =>
        {
            byte[] data = [.. Enumerable.Repeat((byte)9, Block)];
            Assert.Equal(Block, harness.Answer(QueueHarness.Describe(IoOperation.Write, 512, Block), data));
            Assert.Equal(data, Read(harness, 512, new byte[Block]));
        });
        Assert.Equal(before, memory.Data);
    }

    [Fact]
    public void A_read_only_disk_refuses_what_would_change_it()
    {
        MemoryTarget memory = new(Size);
        using BlockTarget disk = Open(memory, "ReadOnly");
        Assert.True(disk.Geometry.ReadOnly);
        QueueHarness.Run(disk, harness =>
        {
            Read(harness, 0, new byte[Block]);
            Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.Flush)));
            foreach (IoOperation operation in new[] { IoOperation.Write, IoOperation.Discard, IoOperation.WriteZeroes })
            {
                Assert.Equal(-Libc.EPERM, harness.Answer(QueueHarness.Describe(operation, 0, Block), new byte[Block]));
            }
        });
    }

    [Fact]
    public void A_rate_limit_lets_through_no_more_than_told()
    {
        // 20 requests of 64 KiB at 1 MiB/s, less a tenth of a second's worth that an idle disk has saved, are 1.15 s.
        MemoryTarget memory = new(Size);
        using BlockTarget disk = Open(memory, "RateLimit=1048576");
        QueueHarness.Run(disk, harness =>
        {
            long start = Environment.TickCount64;
            harness.Saturate(20, number => QueueHarness.Describe(IoOperation.Read, 0, 64 << 10));
            Assert.True(Environment.TickCount64 - start >= 1000);
        });
    }

    [Theory]
    [InlineData(UblkError.UnknownFilter, "Nothing")]
    [InlineData(UblkError.UnsupportedOption, "Delay=1;Seed=1")]
    [InlineData(UblkError.InvalidArgument, "Delay")]
    [InlineData(UblkError.InvalidArgument, "Delay=soon")]
    [InlineData(UblkError.InvalidArgument, "ErrorRate=2")]
    [InlineData(UblkError.InvalidArgument, "RateLimit")]
    [InlineData(UblkError.InvalidArgument, "RateLimit=0")]
    [InlineData(UblkError.InvalidArgument, "RateLimit=1048576;LimitBurst=3600001")]
    [InlineData(UblkError.InvalidArgument, "Cache=100")]
    [InlineData(UblkError.InvalidArgument, "Offset=1")]
    [InlineData(UblkError.InvalidArgument, "Offset=1048576")]
    [InlineData(UblkError.InvalidArgument, "Offset=512;Length=1048576")]
    [InlineData(UblkError.InvalidArgument, "Partition=1")]
    [InlineData(UblkError.PathNotFound, "Overlay=/nowhere/at/all")]
    [InlineData(UblkError.InvalidBackingFile, "Overlay=/etc/passwd")]
    public void What_is_no_filter_is_refused(UblkError error, string filter)
    {
        MemoryTarget memory = new(Size);
        Assert.Equal(error, Assert.Throws<UblkException>(() => Open(memory, filter)).Error);
    }

    [Fact]
    public void What_is_lost_with_its_worker_is_refused_for_a_disk_that_outlives_it()
    {
        DeviceSpecification specification = new() { Target = "Null", Filters = [Parse("Overlay")] };
        SpecificationCheck.Run(specification);
        UblkException exception =
            Assert.Throws<UblkException>(() => SpecificationCheck.Run(specification with { Recovery = RecoveryMode.Reissue }));
        Assert.Equal(UblkError.InvalidArgument, exception.Error);
        SpecificationCheck.Run(specification with { Recovery = RecoveryMode.Reissue, Filters = [Parse("Overlay=/x")] });
    }

    [Theory]
    [InlineData("ReadOnly")]
    [InlineData("Delay=5")]
    [InlineData("ErrorRate=0.1;ErrorKind=ENOSPC")]
    public void A_filter_is_shown_as_it_is_typed(string text) => Assert.Equal(text, Parse(text).ToString());

    /// <summary>A filter from its text, as the cmdlets read it.</summary>
    internal static UblkFilter Parse(string text)
    {
        string[][] parts = [.. text.Split(';').Select(part => part.Split('=', 2))];
        return new UblkFilter(parts[0][0], parts.Where(part => part.Length == 2).ToDictionary(part => part[0], part => part[1]));
    }

    /// <summary>Puts filters before a target.</summary>
    [Theory]
    [InlineData("Overlay", "too many for an overlay")]
    [InlineData("Offset=9223372036854774784;Length=1024", "There are no 1024 bytes")]
    [InlineData("Offset=9223372036854775296", "There are no bytes from")]
    public void What_no_disk_can_have_is_refused(string filter, string message)
    {
        using NullTarget target = new(long.MaxValue - 511);
        UblkException exception = Assert.Throws<UblkException>(() => Open(target, filter));
        Assert.Equal(UblkError.InvalidArgument, exception.Error);
        Assert.Contains(message, exception.Message, StringComparison.Ordinal);
    }

    internal static BlockTarget Open(BlockTarget target, params string[] filters)
    {
        DeviceSpecification specification = new() { Target = "Null", Filters = [.. filters.Select(Parse)] };
        FilterStack.Check(specification);
        return FilterStack.Open(specification.Filters, _ => target, new TargetOptions(new Dictionary<string, string>()));
    }

    private static byte[] Read(QueueHarness harness, long offset, byte[] data)
    {
        Assert.Equal(data.Length, harness.Answer(QueueHarness.Describe(IoOperation.Read, offset, data.Length), data));
        return data;
    }

    private static void Step(QueueHarness harness, Random chance, byte[] model, TargetGeometry geometry)
    {
        int blocks = model.Length / 512;
        int first = chance.Next(blocks);
        int length = int.Min(chance.Next(1, 65), blocks - first) * 512;
        Span<byte> range = model.AsSpan(first * 512, length);
        switch (chance.Next(geometry.WriteZeroes ? 6 : 5))
        {
            case < 2:
                byte[] data = new byte[length];
                chance.NextBytes(data);
                Assert.Equal(length, harness.Answer(QueueHarness.Describe(IoOperation.Write, first * 512, length), data));
                data.CopyTo(range);
                break;
            case < 4:
                Assert.True(range.SequenceEqual(Read(harness, first * 512, new byte[length])));
                break;
            case 4:
                Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.Flush)));
                break;
            default:
                Assert.Equal(0, harness.Answer(QueueHarness.Describe(IoOperation.WriteZeroes, first * 512, length)));
                range.Clear();
                break;
        }
    }
}
