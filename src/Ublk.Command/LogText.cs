using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Ublk.Logging;

namespace Ublk.CommandLine;

/// <summary>A message of a worker as a line.</summary>
internal static class LogText
{
    private const string TimeFormat = "yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'";

    // Control characters are escaped, so a message is one line. The text goes to no web page.
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The line for people.</summary>
    public static string Plain(UblkLogEntry entry) =>
        string.Create(CultureInfo.InvariantCulture,
            $"{TimeOf(entry)} {entry.Id} {LevelOf(entry) ?? "unknown"} [{entry.ProcessId}] {entry.Message}");

    /// <summary>The line as a JSON object. Programs rely on the names and types of its fields.</summary>
    public static string Json(UblkLogEntry entry)
    {
        ArrayBufferWriter<byte> text = new();
        using (Utf8JsonWriter writer = new(text, s_options))
        {
            writer.WriteStartObject();
            writer.WriteString("time", TimeOf(entry));
            writer.WriteNumber("device", entry.Id);
            writer.WriteString("level", LevelOf(entry));
            writer.WriteNumber("pid", entry.ProcessId);
            writer.WriteString("message", entry.Message);
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(text.WrittenSpan);
    }

    private static string TimeOf(UblkLogEntry entry) => entry.Time.ToUniversalTime().ToString(TimeFormat, CultureInfo.InvariantCulture);

    private static string? LevelOf(UblkLogEntry entry) => entry.Level is { } level ? $"{level}".ToLowerInvariant() : null;
}
