using Ublk.CommandLine;
using Ublk.Logging;

namespace Ublk.Tests.CommandLine;

/// <summary>What programs read: the file of metrics and the lines of the log.</summary>
public sealed class MonitoringTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("ublk-metrics-").FullName;

    private static UblkLogEntry Entry => new()
    {
        Time = new DateTime(2026, 1, 1, 10, 20, 30, DateTimeKind.Utc).AddMicroseconds(5).ToLocalTime(),
        Id = 3,
        Level = LogLevel.Warning,
        ProcessId = 17,
        Message = "device 3: 'a\"b' is\nlate",
    };

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void The_file_of_metrics_is_replaced_as_a_whole()
    {
        string path = $"{_folder}/ublk.prom";
        File.WriteAllText(path, "former");
        using FileStream reader = File.OpenRead(path);

        CommandRun run = CommandRun.Of("metrics", "-o", path);

        Assert.Equal((0, "", ""), (run.ExitCode, run.Output, run.Error));
        Assert.Equal(CommandRun.Of("metrics").Output, File.ReadAllText(path));
        Assert.StartsWith("# HELP ublk_device_info ", File.ReadAllText(path), StringComparison.Ordinal);
        Assert.Equal("former", new StreamReader(reader).ReadToEnd());
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder));
    }

    [Fact]
    public void A_file_that_cannot_be_written_is_an_error()
    {
        CommandRun run = CommandRun.Of("metrics", "-o", $"{_folder}/none/ublk.prom");
        Assert.Equal(1, run.ExitCode);
        Assert.StartsWith($"ublk: The metrics cannot be written to {_folder}/none/ublk.prom: ", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_message_is_a_line_of_json_with_stable_fields() => Assert.Equal(
        """{"time":"2026-01-01T10:20:30.000005Z","device":3,"level":"warning","pid":17,"message":"device 3: 'a\"b' is\nlate"}""",
        LogText.Json(Entry));

    [Fact]
    public void A_message_without_a_level_has_none() => Assert.Contains(
        "\"level\":null", LogText.Json(Entry with { Level = null }), StringComparison.Ordinal);
}
