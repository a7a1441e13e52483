using System.Runtime.InteropServices;
using Ublk.Interop;

namespace Ublk.Tests.Interop;

/// <summary>The kernel's numbers differ between machines, so an unknown one is refused.</summary>
public class KnownArchitectureTests
{
    [Theory]
    [InlineData(Architecture.X64, true)]
    [InlineData(Architecture.Arm64, true)]
    [InlineData(Architecture.Ppc64le, false)]
    [InlineData(Architecture.Arm, false)]
    public void Known_are_those_whose_numbers_were_compared(Architecture architecture, bool isKnown) =>
        Assert.Equal(isKnown, Libc.IsKnown(architecture));
}
