using System.Globalization;
using Ublk.Measuring;

namespace Ublk.PowerShell;

/// <summary>Measurements drawn with characters.</summary>
internal static class MeasurementGraph
{
    private const int Width = 50;

    /// <summary>A summary, and a bar for each step of latencies and sizes.</summary>
    public static IEnumerable<string> Draw(UblkMeasurement measurement)
    {
        yield return string.Create(CultureInfo.InvariantCulture,
            $"{measurement.DevicePath}  {measurement.Time:HH:mm:ss}  {measurement.ReadsPerSecond:0} reads/s, "
                + $"{measurement.WritesPerSecond:0} writes/s, {measurement.InFlight} in flight");
        foreach (string line in Bars("read latency", Octaves(measurement.ReadLatencies), Time)
            .Concat(Bars("write latency", Octaves(measurement.WriteLatencies), Time))
            .Concat(Bars("read size", measurement.ReadSizes, Size))
            .Concat(Bars("write size", measurement.WriteSizes, Size)))
        {
            yield return line;
        }
    }

    // Eight steps in one: as many lines as a screen has.
    private static UblkHistogram Octaves(UblkHistogram latencies) =>
        latencies.Merge(step => Math.Pow(2, Math.Ceiling(Math.Log2(step.Greatest))));

    private static IEnumerable<string> Bars(string title, UblkHistogram histogram, Func<double, string> label)
    {
        if (histogram.Count == 0)
        {
            yield break;
        }

        yield return $"  {title}";
        long highest = histogram.Steps.Max(step => step.Count);
        foreach (UblkHistogramStep step in histogram.Steps)
        {
            string bar = new('#', (int)Math.Ceiling((double)Width * step.Count / highest));
            yield return $"  {label(step.Greatest),11} |{bar.PadRight(Width)} {step.Count}";
        }
    }

    private static string Time(double micros) => micros switch
    {
        < 1000 => string.Create(CultureInfo.InvariantCulture, $"{micros:0.###} us"),
        < 1e6 => string.Create(CultureInfo.InvariantCulture, $"{micros / 1e3:0.##} ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{micros / 1e6:0.##} s"),
    };

    private static string Size(double bytes) => HumanSize.Format((long)bytes)!;
}
