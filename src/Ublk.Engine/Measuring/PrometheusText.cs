using System.Globalization;
using Ublk.Counters;
using Ublk.Io;

namespace Ublk.Measuring;

/// <summary>Counters in Prometheus' text exposition format, version 0.0.4.</summary>
public static class PrometheusText
{
    private const double NanosecondsPerSecond = 1e9;

    private static readonly (IoOperation Operation, string Name)[] Operations =
    [
        (IoOperation.Read, "read"),
        (IoOperation.Write, "write"),
        (IoOperation.Flush, "flush"),
        (IoOperation.Discard, "discard"),
        (IoOperation.WriteZeroes, "write_zeroes"),
    ];

    /// <summary>The lines, each metric's devices together.</summary>
    public static IEnumerable<string> Write(IReadOnlyCollection<DeviceCounters> devices) =>
    [
        .. Counters(devices, "ublk_requests_total", "Requests answered.", device => device.Requests),
        .. Counters(devices, "ublk_request_errors_total", "Requests that failed.", device => device.Errors),
        .. Counters(devices, "ublk_request_bytes_total", "Bytes of the requests' ranges.", device => device.Bytes),
        .. Metric(devices, "ublk_requests_in_flight", "Requests in flight.", "gauge",
            device => [Line("ublk_requests_in_flight", device, "", device.InFlight)]),
        .. Metric(devices, "ublk_request_duration_seconds", "Time from a request's arrival at the worker to its answer.", "histogram",
            device => Operations.Take(2).SelectMany(operation => Durations(device, operation.Operation, operation.Name))),
    ];

    private static IEnumerable<string> Counters(
        IReadOnlyCollection<DeviceCounters> devices, string name, string help, Func<DeviceCounters, long[]> select) =>
        Metric(devices, name, help, "counter", device => Operations.Select(
            operation => Line(name, device, $",operation=\"{operation.Name}\"", select(device)[(int)operation.Operation])));

    private static IEnumerable<string> Metric(
        IReadOnlyCollection<DeviceCounters> devices, string name, string help, string type, Func<DeviceCounters,
            IEnumerable<string>> lines) =>
        [$"# HELP {name} {help}", $"# TYPE {name} {type}", .. devices.SelectMany(lines)];

    // One bucket for each doubling: eight times as many would cost the monitoring system storage.
    private static IEnumerable<string> Durations(DeviceCounters device, IoOperation operation, string name)
    {
        const string metric = "ublk_request_duration_seconds";
        const int stepsPerBucket = 8;
        int first = CounterBlock.KindOf(operation) * CounterBlock.Times;
        double sum = 0;
        long count = 0;
        for (int step = 0; step < CounterBlock.Times; step++)
        {
            long here = device.ByTime[first + step];
            count += here;
            sum += here * ((CounterBlock.LeastTime(step) + CounterBlock.LeastTime(step + 1)) / 2 / NanosecondsPerSecond);
            if (step % stepsPerBucket == stepsPerBucket - 1)
            {
                string end = (CounterBlock.LeastTime(step + 1) / NanosecondsPerSecond).ToString("R", CultureInfo.InvariantCulture);
                yield return Line($"{metric}_bucket", device, $",operation=\"{name}\",le=\"{end}\"", count);
            }
        }

        yield return Line($"{metric}_bucket", device, $",operation=\"{name}\",le=\"+Inf\"", count);
        yield return Line($"{metric}_sum", device, $",operation=\"{name}\"", sum);
        yield return Line($"{metric}_count", device, $",operation=\"{name}\"", count);
    }

    private static string Line(string metric, DeviceCounters device, string labels, double value) =>
        string.Create(CultureInfo.InvariantCulture, $"{metric}{{device=\"ublkb{device.Id}\"{labels}}} {value:R}");
}
