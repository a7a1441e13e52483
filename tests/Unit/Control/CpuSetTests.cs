using CsCheck;
using Ublk.Control;

namespace Ublk.Tests.Control;

/// <summary>CPU lists and masks say the same.</summary>
public class CpuSetTests
{
    [Theory]
    [InlineData("0", new[] { 0 })]
    [InlineData("0-3,8", new[] { 0, 1, 2, 3, 8 })]
    [InlineData(" 5 , 4", new[] { 4, 5 })]
    public void Lists_are_read(string list, int[] cpus) => Assert.Equal(cpus, CpuSet.Parse(list).Cpus);

    [Theory]
    [InlineData("")]
    [InlineData("a")]
    [InlineData("3-1")]
    [InlineData("-1")]
    [InlineData("1-")]
    [InlineData("1,,2")]
    [InlineData("8192")]
    public void What_is_no_list_is_refused(string list) =>
        Assert.Equal(UblkError.InvalidArgument, Assert.Throws<UblkException>(() => CpuSet.Parse(list)).Error);

    [Fact]
    public void Any_mask_survives_being_written_as_a_list() => Gen.Byte.Array[CpuSet.MaskBytes].Where(mask => mask.Any(bits => bits != 0))
        .Sample(mask => CpuSet.Parse(CpuSet.FromMask(mask).ToString()).Cpus.SequenceEqual(CpuSet.FromMask(mask).Cpus), iter: 50);
}
