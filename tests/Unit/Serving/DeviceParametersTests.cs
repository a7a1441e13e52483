using Ublk.Devices;
using Ublk.Interop;
using Ublk.Serving;
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
