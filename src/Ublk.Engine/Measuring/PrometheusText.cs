using System.Globalization;
using Ublk.Counters;
using Ublk.Devices;
using Ublk.Io;

namespace Ublk.Measuring;

/// <summary>Devices and their counters in Prometheus' text exposition format, version 0.0.4.</summary>
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

    /// <summary>The lines of devices in any state, with the counters of those that have any and that the caller may read.</summary>
    public static IEnumerable<string> Write(IReadOnlyCollection<UblkDevice> devices) =>
        Write(devices, [.. devices.Select(DeviceCounters.TryRead).OfType<DeviceCounters>()]);

    /// <summary>The lines, each metric's devices together.</summary>
    internal static IEnumerable<string> Write(IReadOnlyCollection<UblkDevice> devices, IReadOnlyCollection<DeviceCounters> counters) =>
    [
        .. Metric(devices, "ublk_device_info", "A device of this machine, in its present state.", "gauge",
            device => [Line("ublk_device_info", device.Id, Description(device), 1)]),
        .. Metric(devices, "ublk_device_size_bytes", "Size of the disk.", "gauge",
            device => Known("ublk_device_size_bytes", device, device.Size)),
        .. Metric(devices, "ublk_device_restarts_total", "New workers that the supervisor of a device has started.", "counter",
            device => Known("ublk_device_restarts_total", device, device.Restarts)),
        .. Counters(counters, "ublk_requests_total", "Requests answered.", device => device.Requests),
        .. Counters(counters, "ublk_request_errors_total", "Requests that failed.", device => device.Errors),
        .. Counters(counters, "ublk_request_bytes_total", "Bytes of the requests' ranges.", device => device.Bytes),
        .. Metric(counters, "ublk_requests_in_flight", "Requests in flight.", "gauge",
            device => [Line("ublk_requests_in_flight", device.Id, "", device.InFlight)]),
        .. Metric(counters, "ublk_request_duration_seconds", "Time from a request's arrival at the worker to its answer.", "histogram",
            device => Operations.Take(2).SelectMany(operation => Durations(device, operation.Operation, operation.Name))),
    ];

    private static IEnumerable<string> Counters(
        IReadOnlyCollection<DeviceCounters> devices, string name, string help, Func<DeviceCounters, long[]> select) =>
        Metric(devices, name, help, "counter", device => Operations.Select(
            operation => Line(name, device.Id, $",operation=\"{operation.Name}\"", select(device)[(int)operation.Operation])));

    private static IEnumerable<string> Metric<T>(
        IReadOnlyCollection<T> devices, string name, string help, string type, Func<T, IEnumerable<string>> lines) =>
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
                yield return Line($"{metric}_bucket", device.Id, $",operation=\"{name}\",le=\"{end}\"", count);
            }
        }

        yield return Line($"{metric}_bucket", device.Id, $",operation=\"{name}\",le=\"+Inf\"", count);
        yield return Line($"{metric}_sum", device.Id, $",operation=\"{name}\"", sum);
        yield return Line($"{metric}_count", device.Id, $",operation=\"{name}\"", count);
    }

    // A label without a value is as good as none.
    private static string Description(UblkDevice device) =>
        $",state=\"{(device.State is { } state ? $"{state}".ToLowerInvariant() : "unknown")}\",name=\"{Escape(device.Name)}\""
            + $",target=\"{Escape(device.Target?.ToLowerInvariant())}\",version=\"{Escape(device.WorkerVersion)}\"";

    private static string? Escape(string? value) => value?.Replace("\\", @"\\", StringComparison.Ordinal)
        .Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", @"\n", StringComparison.Ordinal);

    private static IEnumerable<string> Known(string metric, UblkDevice device, long? value) =>
        value is { } known ? [Line(metric, device.Id, "", known)] : [];

    private static string Line(string metric, int id, string labels, double value) =>
        string.Create(CultureInfo.InvariantCulture, $"{metric}{{device=\"ublkb{id}\"{labels}}} {value:R}");
}
