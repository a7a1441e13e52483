using Ublk.Control;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Serving;
using Ublk.Specification;
using Ublk.Targets;

namespace Ublk.Tests.Serving;

/// <summary>What the driver is told of a disk.</summary>
public class DeviceParametersTests
{
    private static readonly TargetGeometry Writable = new()
    {
        Size = (1 << 20) + 512, VolatileCache = true, DiscardGranularity = 4096, WriteZeroes = true,
    };

    [Fact]
    public void A_writable_disk_has_cache_fua_and_discard()
    {
        UblkParameters parameters = DeviceParameters.Create(Null(), Writable);
        Assert.Equal(UblkAbi.ParamBasic | UblkAbi.ParamDiscard, parameters.Types);
        Assert.Equal(UblkAbi.AttrVolatileCache | UblkAbi.AttrFua, parameters.Attributes);
        Assert.Equal((9, 12, 12), (parameters.LogicalBlockShift, parameters.PhysicalBlockShift, parameters.IoMinimalShift));
        Assert.Equal(2049ul, parameters.DeviceSectors);
        Assert.Equal(1024u, parameters.MaxSectors);
        Assert.Equal(4096u, parameters.DiscardGranularity);
        Assert.Equal(1, parameters.MaxDiscardSegments);
        Assert.True(parameters.MaxDiscardSectors > 0 && parameters.MaxWriteZeroesSectors > 0);
    }

    [Fact]
    public void A_read_only_disk_has_none_of_that()
    {
        UblkParameters parameters = DeviceParameters.Create(Null() with { ReadOnly = true }, Writable);
        Assert.Equal(UblkAbi.ParamBasic, parameters.Types);
        Assert.Equal(UblkAbi.AttrReadOnly, parameters.Attributes);
    }

    [Fact]
    public void Storage_without_FUA_gets_a_flush_instead_and_rotational_storage_is_marked()
    {
        TargetGeometry geometry = Writable with { ForceUnitAccess = false, IsRotational = true };
        Assert.Equal(UblkAbi.AttrVolatileCache | UblkAbi.AttrRotational, DeviceParameters.Create(Null(), geometry).Attributes);
    }

    [Fact]
    public void Requests_are_as_large_as_user_and_storage_allow()
    {
        Assert.Equal(256u, DeviceParameters.Create(Null(), Writable with { MaxIoSize = 128 << 10 }).MaxSectors);
        Assert.Equal(1024u, DeviceParameters.Create(Null(), Writable with { MaxIoSize = 32 << 20 }).MaxSectors);
        Refuse("131072", Writable, Writable with { MaxIoSize = 128 << 10 });
    }

    [Fact]
    public void A_larger_block_rounds_the_size_down()
    {
        UblkParameters parameters = DeviceParameters.Create(Null() with { LogicalBlockSize = 4096 }, Writable);
        Assert.Equal(12, parameters.LogicalBlockShift);
        Assert.Equal(2048ul, parameters.DeviceSectors);
    }

    [Fact]
    public void Clients_align_their_memory_where_the_storage_wants_it()
    {
        UblkParameters parameters = DeviceParameters.Create(Null(), Writable);
        DeviceParameters.AlignClients(ref parameters, Writable);
        Assert.Equal(0u, parameters.Types & UblkAbi.ParamDmaAlign);
        DeviceParameters.AlignClients(ref parameters, Writable with { MemoryAlignment = 512 });
        Assert.Equal((UblkAbi.ParamDmaAlign, 511u), (parameters.Types & UblkAbi.ParamDmaAlign, parameters.DmaAlignmentMask));
    }

    [Fact]
    public void A_recovered_disk_may_have_more_behind_it_than_it_was_promised()
    {
        foreach (BufferMode mode in (BufferMode[])[BufferMode.Copy, BufferMode.ZeroCopy])
        {
            RequireKept(Writable, Writable, mode);
            RequireKept(Writable, Writable with { Size = 2 << 20, DiscardGranularity = 512 }, mode);
            RequireKept(Writable, Writable with { DiscardGranularity = 65536 }, mode);
            RequireKept(Writable with { ReadOnly = true }, Writable, mode);
            RequireKept(Writable, Writable with { VolatileCache = false }, mode);
            RequireKept(Writable with { LogicalBlockSize = 4096 }, Writable, mode);
            RequireKept(Writable, Writable with { MemoryAlignment = 512 }, mode);
            RequireKept(Writable with { DiscardGranularity = 0, WriteZeroes = false }, Writable, mode);
        }
    }

    [Fact]
    public void A_recovered_disk_is_never_served_with_less_than_it_was_promised()
    {
        Refuse("only for reading", Writable, Writable with { ReadOnly = true });
        Refuse("1049088 bytes", Writable, Writable with { Size = 1 << 20 });
        Refuse("none smaller than 4096", Writable, Writable with { LogicalBlockSize = 4096 });
        Refuse("no flush", Writable with { VolatileCache = false }, Writable);
        Refuse("discards", Writable, Writable with { DiscardGranularity = 0 });
        Refuse("zeroes", Writable, Writable with { WriteZeroes = false });
        Refuse("aligns memory to 512", Writable, Writable with { MemoryAlignment = 4096 }, BufferMode.ZeroCopy);
        Refuse("zero copy", Writable, Writable, BufferMode.ZeroCopy, forwardsData: false);
    }

    private static void Refuse(
        string reason, TargetGeometry before, TargetGeometry now, BufferMode mode = BufferMode.Copy, bool forwardsData = true) =>
        Assert.Contains(reason, WhyNotKept(before, now, mode, forwardsData), StringComparison.Ordinal);

    private static void RequireKept(TargetGeometry before, TargetGeometry now, BufferMode mode) =>
        Assert.Null(WhyNotKept(before, now, mode, forwardsData: true));

    private static string? WhyNotKept(TargetGeometry before, TargetGeometry now, BufferMode mode, bool forwardsData)
    {
        UblkParameters disk = DeviceParameters.Create(Null(), before);
        using Described target = new(now, forwardsData);
        return DeviceParameters.WhyNotKept(
            disk, mode == BufferMode.ZeroCopy ? UblkFeatures.SupportZeroCopy : default, readOnly: false, target);
    }

    /// <summary>A target that is only looked at.</summary>
    private sealed class Described(TargetGeometry geometry, bool forwardsData) : BlockTarget
    {
        public override TargetGeometry Geometry => geometry;

        public override bool ForwardsData => forwardsData;

        public override IoTask<int> HandleAsync(IoRequest request) => throw new NotSupportedException();
    }

    [Fact]
    public void Zeroing_alone_still_needs_a_granularity()
    {
        UblkParameters parameters = DeviceParameters.Create(Null(), Writable with { DiscardGranularity = 0 });
        Assert.Equal((512u, 0u), (parameters.DiscardGranularity, parameters.MaxDiscardSectors));
    }

    [Fact]
    public void Contradictions_are_refused()
    {
        TargetGeometry coarse = Writable with { Size = 1 << 20, LogicalBlockSize = 4096 };
        AssertRefused(Null() with { LogicalBlockSize = 512 }, coarse);
        AssertRefused(Null() with { PhysicalBlockSize = 512 }, coarse);
        AssertRefused(Null() with { LogicalBlockSize = 4096 }, new TargetGeometry { Size = 2048 });
    }

    private static DeviceSpecification Null() => new() { Target = "Null" };

    private static void AssertRefused(DeviceSpecification specification, TargetGeometry geometry) => Assert.Equal(
        UblkError.InvalidArgument,
        Assert.Throws<UblkException>(() => DeviceParameters.Create(specification, geometry)).Error);
}
