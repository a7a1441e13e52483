using System.Text.Json;
using System.Text.RegularExpressions;
using Ublk.Devices;
using Ublk.Measuring;

namespace Ublk.Tests.Measuring;

/// <summary>Devices in any state are in the metrics, and the dashboard shows metrics that exist.</summary>
public partial class PrometheusTextTests
{
    [Fact]
    public void A_device_without_a_worker_is_still_there()
    {
        UblkDevice crashed = new()
        {
            Id = 3, State = DeviceState.Crashed, Name = "data", Target = "Loop", WorkerVersion = "1.2.3", Size = 4096, Restarts = 2,
        };
        string[] lines = [.. PrometheusText.Write([crashed, new UblkDevice { Id = 5 }])];

        Assert.Contains("""ublk_device_info{device="ublkb3",state="crashed",name="data",target="loop",version="1.2.3"} 1""", lines);
        Assert.Contains("""ublk_device_size_bytes{device="ublkb3"} 4096""", lines);
        Assert.Contains("""ublk_device_restarts_total{device="ublkb3"} 2""", lines);
        Assert.Contains("""ublk_device_info{device="ublkb5",state="unknown",name="",target="",version=""} 1""", lines);
        Assert.Single(lines, line => line.Contains("ublkb5", StringComparison.Ordinal));
    }

    [Fact]
    public void A_label_cannot_end_early() => Assert.Contains(
        """ublk_device_info{device="ublkb0",state="live",name="a\"b\\c\nd",target="",version=""} 1""",
        PrometheusText.Write([new UblkDevice { Id = 0, State = DeviceState.Live, Name = "a\"b\\c\nd" }]));

    [Fact]
    public void The_dashboard_shows_metrics_that_are_written()
    {
        HashSet<string> written =
        [
            .. PrometheusText.Write([]).Where(line => line.StartsWith("# TYPE ", StringComparison.Ordinal)).SelectMany(
                IEnumerable<string> (string line) => line.Split(' ') is [_, _, var name, "histogram"]
                    ? [$"{name}_bucket", $"{name}_sum", $"{name}_count"]
                    : [line.Split(' ')[2]]),
        ];
        using JsonDocument dashboard = JsonDocument.Parse(File.ReadAllText(Path.Combine(Repository.Root, "packaging/grafana/ublk.json")));
        string[] queries =
        [
            .. dashboard.RootElement.GetProperty("panels").EnumerateArray()
                .SelectMany(panel => panel.GetProperty("targets").EnumerateArray())
                .Select(target => target.GetProperty("expr").GetString()!),
            .. dashboard.RootElement.GetProperty("templating").GetProperty("list").EnumerateArray()
                .Select(variable => variable.GetProperty("query").GetString()!),
        ];
        string[] shown = [.. queries.SelectMany(query => MetricName().Matches(query)).Select(match => match.Value).Distinct()];

        Assert.NotEmpty(shown);
        Assert.All(shown, name => Assert.Contains(name, written));
    }

    [Fact]
    public void The_page_lists_each_metric()
    {
        string page = File.ReadAllText(Path.Combine(Repository.Root, "docs/monitoring.md"));
        Assert.All(PrometheusText.Write([]).Where(line => line.StartsWith("# TYPE ", StringComparison.Ordinal)),
            line => Assert.Contains($"| `{line.Split(' ')[2]}` | {line.Split(' ')[3]}", page, StringComparison.Ordinal));
    }

    [GeneratedRegex("ublk_[a-z_]+")]
    private static partial Regex MetricName();
}
