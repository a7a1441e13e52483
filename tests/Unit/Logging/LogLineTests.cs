using Ublk.Logging;

namespace Ublk.Tests.Logging;

/// <summary>A worker's lines are read back from wherever they end up.</summary>
public class LogLineTests
{
    private static readonly DateTime s_now = new(2026, 1, 2, 12, 0, 0, DateTimeKind.Local);

    [Theory]
    [InlineData("2026-01-01T10:20:30.1234567Z ")]
    [InlineData("2026-01-01T10:20:30.123456+01:00 host ")]
    [InlineData("Jan  1 10:20:30 host ")]
    public void Every_form_of_a_line_is_read(string before)
    {
        UblkLogEntry? entry = LogLine.ParseText(before + LogLine.Format(17, 3, LogLevel.Warning, "device 3: all is well: almost"), s_now);

        Assert.NotNull(entry);
        Assert.Equal(3, entry.Id);
        Assert.Equal(17, entry.ProcessId);
        Assert.Equal(LogLevel.Warning, entry.Level);
        Assert.Equal("device 3: all is well: almost", entry.Message);
        Assert.Equal(new DateTime(2026, 1, 1), entry.Time.ToUniversalTime().Date);
    }

    [Fact]
    public void A_time_without_a_year_is_not_in_the_future() =>
        Assert.Equal(2025, LogLine.ParseText("Dec 31 10:20:30 host " + LogLine.Format(1, 0, LogLevel.Error, "x"), s_now)!.Time.Year);

    [Theory]
    [InlineData("Jan  1 10:20:30 host sshd[5]: 3 Error: x")]
    [InlineData("Jan  1 10:20:30 host ublk[5]: x")]
    [InlineData("")]
    public void Lines_of_others_are_left_out(string line) => Assert.Null(LogLine.ParseText(line, s_now));

    [Fact]
    public void The_journals_fields_are_read()
    {
        UblkLogEntry? entry = LogLine.ParseJournal(
            """{"__REALTIME_TIMESTAMP":"1767262830000000","PRIORITY":"6","UBLK_DEVICE":"12","_PID":"99","MESSAGE":"device 12 is live"}""");

        Assert.Equal(new UblkLogEntry
        {
            Time = new DateTime(2026, 1, 1, 10, 20, 30, DateTimeKind.Utc)
                .ToLocalTime(), Id = 12, Level = LogLevel.Information, ProcessId = 99,
            Message = "device 12 is live",
        }, entry);
    }

    [Fact]
    public void A_line_of_the_journal_without_a_device_is_left_out() =>
        Assert.Null(LogLine.ParseJournal("""{"__REALTIME_TIMESTAMP":"1767262830000000","MESSAGE":"x"}"""));
}
