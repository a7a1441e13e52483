using Ublk.Measuring;
using Ublk.PowerShell;

namespace Ublk.Tests.PowerShell;

/// <summary>The live view of devices.</summary>
public sealed class ActivityTableTests
{
    [Fact]
    public void A_sparkline_is_relative_to_its_greatest_value()
    {
        Assert.Equal("▁▅█", ActivityTable.Sparkline([0, 50, 100]));
        Assert.Equal("▁▁", ActivityTable.Sparkline([0, 0]));
        Assert.Equal("█", ActivityTable.Sparkline([0.001]));
    }

    [Fact]
    public void Each_device_has_a_line_with_its_last_fourteen_rates_in_80_columns()
    {
        ActivityTable table = new();
        string[] lines = [];
        for (int update = 0; update < 20; update++)
        {
            lines = [.. table.Update([Of(0, update), Of(123, 1e7)])];
        }

        Assert.Equal(3, lines.Length);
        Assert.StartsWith("Device ", lines[0], StringComparison.Ordinal);
        Assert.StartsWith("/dev/ublkb0 ", lines[1], StringComparison.Ordinal);
        Assert.EndsWith(new string('█', 14), lines[2], StringComparison.Ordinal);
        Assert.EndsWith("█", lines[1], StringComparison.Ordinal);
        Assert.All(lines, line => Assert.InRange(line.Length, 0, 80));
    }

    private static UblkMeasurement Of(int id, double rate) => new()
    {
        Id = id, DevicePath = $"/dev/ublkb{id}", Time = DateTime.UnixEpoch, Seconds = 1, ReadsPerSecond = rate, WritesPerSecond = 0,
        FlushesPerSecond = 0, DiscardsPerSecond = 0, ReadBytesPerSecond = rate * 4096, WriteBytesPerSecond = 0, Errors = 0, InFlight = 0,
        ReadMaxMicros = null, WriteMaxMicros = null, ReadLatencies = new([]), WriteLatencies = new([]), ReadSizes = new([]),
        WriteSizes = new([]),
    };
}
