using System.Text.Json;
using OxyPlot;
using Ublk.Plot;

if (args.Length != 2)
{
    Console.Error.WriteLine("usage: Ublk.Plot results.json FOLDER");
    return 2;
}

using FileStream file = File.OpenRead(args[0]);
IReadOnlyList<Measurement> measurements = JsonSerializer.Deserialize<Results>(file)!.Summary;
Directory.CreateDirectory(args[1]);

Draw("throughput", "IOPS of Ublk / IOPS of the other (right of 1: Ublk does more)", one => one.Ratio is { } ratio ? Mark.Of(ratio) : null);
Draw("cpu", "CPU time per I/O, server and client together, microseconds", one => Mark.Of(one.CpuMicros));
Draw("latency", "latency, microseconds: dot p50, cross p99, end of the line p99.9",
    one => new Mark(one.P50Micros, one.P50Micros, one.P999Micros, one.P99Micros));
return 0;

void Draw(string name, string title, Func<Measurement, Mark?> select)
{
    RangeChart chart = new(title, measurements, select);
    using FileStream svg = File.Create(Path.Combine(args[1], $"{name}.svg"));
    new SvgExporter { Width = RangeChart.Width, Height = chart.Height, UseVerticalTextAlignmentWorkaround = true }.Export(chart.Model, svg);
}
