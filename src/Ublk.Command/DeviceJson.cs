using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Ublk.Devices;
using Ublk.Specification;

namespace Ublk.CommandLine;

/// <summary>A device as JSON, with the names that the reference server uses.</summary>
internal static class DeviceJson
{
    // A path is shown as it is; the text goes to no web page.
    private static readonly JavaScriptEncoder s_encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;

    /// <summary>Prints a device.</summary>
    public static void Write(TextWriter output, UblkDevice device) =>
        output.WriteLine(Text(indented: true, writer => Write(writer, device)));

    /// <summary>Prints an array of devices.</summary>
    public static void WriteAll(TextWriter output, IReadOnlyList<UblkDevice> devices) => output.WriteLine(Text(indented: true, writer =>
    {
        writer.WriteStartArray();
        foreach (UblkDevice device in devices)
        {
            Write(writer, device);
        }

        writer.WriteEndArray();
    }));

    /// <summary>A device's target, in one line.</summary>
    public static string TargetOf(UblkDevice device) => Text(indented: false, writer => WriteTarget(writer, device));

    private static void Write(Utf8JsonWriter writer, UblkDevice device)
    {
        writer.WriteStartObject();
        WriteInfo(writer, device);
        writer.WriteString("path", device.DevicePath);
        if (device.Name is not null)
        {
            writer.WriteString("name", device.Name);
        }

        writer.WriteString("state", DeviceText.StateOf(device));
        WriteQueues(writer, device);
        if (device.Target is not null)
        {
            writer.WritePropertyName("target");
            WriteTarget(writer, device);
            writer.WriteStartArray("filters");
            foreach (UblkFilter filter in device.Filters)
            {
                writer.WriteStringValue($"{filter}");
            }

            writer.WriteEndArray();
            writer.WriteString("recovery", JsonNamingPolicy.SnakeCaseLower.ConvertName($"{device.Recovery}"));
            writer.WriteNumber("restarts", device.Restarts ?? 0);
            writer.WriteString("worker_version", device.WorkerVersion);
            writer.WriteBoolean("outdated", device.Outdated == true);
        }

        writer.WriteEndObject();
    }

    private static void WriteInfo(Utf8JsonWriter writer, UblkDevice device)
    {
        writer.WriteStartObject("dev_info");
        writer.WriteNumber("dev_id", device.Id);
        writer.WriteNumber("nr_hw_queues", device.QueueCount ?? 0);
        writer.WriteNumber("queue_depth", device.QueueDepth ?? 0);
        writer.WriteNumber("max_io_buf_bytes", device.MaxIoSize ?? 0);
        writer.WriteNumber("ublksrv_pid", device.ProcessId ?? -1);
        if (device is { DriverState: { } state, Flags: { } flags, OwnerIds: { } owner })
        {
            writer.WriteNumber("state", (int)state);
            writer.WriteNumber("flags", (ulong)flags);
            writer.WriteNumber("owner_uid", owner.User);
            writer.WriteNumber("owner_gid", owner.Group);
        }

        writer.WriteEndObject();
    }

    // With one thread for each queue the keys are the queues' numbers, as the reference server has it.
    private static void WriteQueues(Utf8JsonWriter writer, UblkDevice device)
    {
        writer.WriteStartObject("queues");
        foreach ((int place, QueueInfo queue) in device.Queues.Index())
        {
            writer.WriteStartObject(place.ToString(CultureInfo.InvariantCulture));
            writer.WriteNumber("qid", queue.Id);
            writer.WriteNumber("tid", queue.ThreadId);
            writer.WriteString("affinity", DeviceText.CpusOf(queue).TrimEnd());
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    }

    // The file comes first: scripts cut it out of the line.
    private static void WriteTarget(Utf8JsonWriter writer, UblkDevice device)
    {
        writer.WriteStartObject();
        if (device.BackingPath is not null)
        {
            writer.WriteString("backing_file", device.BackingPath);
        }

        writer.WriteNumber("dev_size", device.Size ?? 0);
        writer.WriteString("name", device.Target!.ToLowerInvariant());
        foreach ((string name, string value) in device.Options.Where(option => option.Key is not ("Path" or "Size")))
        {
            WriteOption(writer, TargetArgument.NameOf(name), TargetArgument.TextOf(name, value));
        }

        writer.WriteEndObject();
    }

    private static void WriteOption(Utf8JsonWriter writer, string name, string value)
    {
        if (long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out long number))
        {
            writer.WriteNumber(name, number);
        }
        else if (bool.TryParse(value, out bool flag))
        {
            writer.WriteNumber(name, flag ? 1 : 0);
        }
        else
        {
            writer.WriteString(name, value);
        }
    }

    private static string Text(bool indented, Action<Utf8JsonWriter> write)
    {
        using MemoryStream text = new();
        using (Utf8JsonWriter writer = new(text, new JsonWriterOptions { Indented = indented, Encoder = s_encoder }))
        {
            write(writer);
        }

        return Encoding.UTF8.GetString(text.GetBuffer(), 0, (int)text.Length);
    }
}
