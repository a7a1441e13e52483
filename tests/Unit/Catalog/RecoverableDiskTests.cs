using Ublk.Catalog;
using Ublk.Specification;

namespace Ublk.Tests.Catalog;

/// <summary>Which disks recover without being asked to.</summary>
public class RecoverableDiskTests
{
    [Theory]
    [InlineData("Null", false, true)]
    [InlineData("Loop", false, true)]
    [InlineData("Qcow2", false, true)]
    [InlineData("Nbd", false, false)]
    [InlineData("Nbd", true, true)]
    [InlineData("Rbd", false, true)]
    public void A_disk_is_recoverable_if_its_target_can_take_over_writes(string target, bool readOnly, bool isRecoverable) =>
        Assert.Equal(isRecoverable, SpecificationCheck.IsRecoverable(new() { Target = target, ReadOnly = readOnly }));

    [Fact]
    public void A_target_of_an_assembly_could_count_or_append() =>
        Assert.False(SpecificationCheck.IsRecoverable(new() { Target = "Null", Assembly = "/a.dll" }));

    [Fact]
    public void What_an_overlay_in_memory_keeps_is_lost_with_its_worker()
    {
        Assert.False(SpecificationCheck.IsRecoverable(With(new UblkFilter("Overlay", new Dictionary<string, string>()))));
        Assert.True(SpecificationCheck.IsRecoverable(
            With(new UblkFilter("Overlay", new Dictionary<string, string> { ["Overlay"] = "/a.cow" }))));
    }

    private static DeviceSpecification With(UblkFilter filter) => new() { Target = "Null", Filters = [filter] };
}
