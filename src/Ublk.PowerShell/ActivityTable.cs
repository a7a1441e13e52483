using System.Globalization;
using Ublk.Measuring;

namespace Ublk.PowerShell;

/// <summary>The live view of devices: a line for each, with the history of its request rate.</summary>
internal sealed class ActivityTable
{
    private const int HistoryLength = 14;
    private const string Bars = "▁▂▃▄▅▆▇█";

    private readonly Dictionary<int, Queue<double>> _rates = [];

    /// <summary>Adds measurements to the history. Returns the lines of the view, at most 80 columns wide.</summary>
    public IEnumerable<string> Update(IEnumerable<UblkMeasurement> measurements)
    {
        List<string> lines =
            [$"{"Device",-13} {"ReadIOPS",8} {"WriteIOPS",9} {"RdMiB/s",8} {"WrMiB/s",8} {"p99us",7} {"Errors",6} {"IOPS",-HistoryLength}"];
        lines.AddRange(measurements.Select(Line));
        return lines;
    }

    /// <summary>Values as bars of a height from 1 to 8, relative to the greatest.</summary>
    internal static string Sparkline(IReadOnlyCollection<double> values)
    {
        double greatest = values.Max();
        return string.Concat(values.Select(value => Bars[greatest > 0 ? (int)Math.Round((Bars.Length - 1) * value / greatest) : 0]));
    }

    private string Line(UblkMeasurement one)
    {
        if (!_rates.TryGetValue(one.Id, out Queue<double>? history))
        {
            _rates[one.Id] = history = new Queue<double>();
        }

        history.Enqueue(one.ReadsPerSecond + one.WritesPerSecond);
        if (history.Count > HistoryLength)
        {
            history.Dequeue();
        }

        double latency = Math.Max(one.ReadP99Micros ?? 0, one.WriteP99Micros ?? 0);
        return string.Create(CultureInfo.InvariantCulture,
            $"{one.DevicePath,-13} {one.ReadsPerSecond,8:0} {one.WritesPerSecond,9:0} {one.ReadBytesPerSecond / (1 << 20),8:0.0} "
                + $"{one.WriteBytesPerSecond / (1 << 20),8:0.0} {latency,7:0} {one.Errors,6} {Sparkline(history)}");
    }
}
