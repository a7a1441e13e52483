using System.Globalization;
using Ublk.Control;
using Ublk.Devices;

namespace Ublk.CommandLine;

/// <summary>A device as the reference server prints it, for scripts that read it by words and columns.</summary>
internal static class DeviceText
{
    /// <summary>Prints a device.</summary>
    public static void Write(TextWriter output, UblkDevice device)
    {
        UblkFeatures flags = device.Flags ?? UblkFeatures.None;
        string owner = device.OwnerIds is { } ids ? $"{ids.User}:{ids.Group}" : "?:?";
        output.WriteLine($"dev id {device.Id}: nr_hw_queues {device.QueueCount ?? 0} queue_depth {device.QueueDepth ?? 0} "
            + $"block size {device.LogicalBlockSize ?? 0} dev_capacity {(device.Size ?? 0) >> 9}");
        output.WriteLine($"\tmax rq size {device.MaxIoSize ?? 0} daemon pid {device.ProcessId ?? -1} state {StateOf(device)}");
        string names = string.Concat(FeatureName.In(flags).Select(flag => $" {FeatureName.OfDevice(flag)}"));
        output.WriteLine($"\tflags 0x{(ulong)flags:x} [{names} ]");
        output.WriteLine($"\tublkc: {device.CharDeviceNumber ?? "0:0"} ublkb: {device.DeviceNumber ?? "0:0"} owner: {owner}");
        foreach (QueueInfo queue in device.Queues)
        {
            output.WriteLine($"\tqueue {queue.Id}: tid {queue.ThreadId} affinity({CpusOf(queue)})");
        }

        if (device.Outdated == true)
        {
            output.WriteLine($"\toutdated: the worker is of version {device.WorkerVersion ?? "unknown"}");
        }

        if (device.Target is not null)
        {
            output.WriteLine($"\ttarget {DeviceJson.TargetOf(device)}");
        }
    }

    /// <summary>The state under its name in the driver.</summary>
    public static string StateOf(UblkDevice device) => device.DriverState switch
    {
        DriverState.Dead => "DEAD",
        DriverState.Live => "LIVE",
        DriverState.Quiesced => "QUIESCED",
        DriverState.FailIo => "FAIL_IO",
        _ => "UNKNOWN",
    };

    /// <summary>A queue's CPUs, each followed by a space.</summary>
    public static string CpusOf(QueueInfo queue) =>
        string.Concat(CpuSet.Parse(queue.Affinity).Cpus.Select(cpu => string.Create(CultureInfo.InvariantCulture, $"{cpu} ")));
}
