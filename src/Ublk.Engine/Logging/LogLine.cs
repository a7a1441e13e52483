using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Ublk.Logging;

/// <summary>A line of a log, in each of the forms that it takes where it ends up.</summary>
internal static partial class LogLine
{
    /// <summary>The identifier of the writer.</summary>
    public const string Identifier = "ublk";

    /// <summary>A line for a log without fields: the process, the device, the level, the message.</summary>
    public static string Format(int processId, int? deviceId, LogLevel level, string message) =>
        $"{Identifier}[{processId}]: {(deviceId is null ? "" : $"{deviceId} ")}{level}: {message}";

    /// <summary>Reads a line that <see cref="Format"/> made, with the time before it that syslog or the worker put there.</summary>
    /// <param name="line">The line.</param>
    /// <param name="now">When it is read: the oldest form of a time has no year.</param>
    /// <returns>Null where it is another's.</returns>
    public static UblkLogEntry? ParseText(string line, DateTime now)
    {
        Match match = TextLine().Match(line);
        return match.Success && Time(match.Groups["time"].Value, now) is { } time
            ? new UblkLogEntry
            {
                Time = time,
                Id = int.Parse(match.Groups["id"].ValueSpan, CultureInfo.InvariantCulture),
                Level = Enum.TryParse(match.Groups["level"].ValueSpan, out LogLevel level) ? level : null,
                ProcessId = int.Parse(match.Groups["process"].ValueSpan, CultureInfo.InvariantCulture),
                Message = match.Groups["message"].Value,
            }
            : null;
    }

    /// <summary>Reads a line of <c>journalctl --output=json</c>.</summary>
    /// <returns>Null if the line does not belong to a device.</returns>
    public static UblkLogEntry? ParseJournal(string line)
    {
        using JsonDocument document = JsonDocument.Parse(line);
        JsonElement entry = document.RootElement;
        return Field(entry, "UBLK_DEVICE") is { } id && int.TryParse(id, CultureInfo.InvariantCulture, out int device)
            && long.TryParse(Field(entry, "__REALTIME_TIMESTAMP"), CultureInfo.InvariantCulture, out long micros)
            ? new UblkLogEntry
            {
                Time = DateTime.UnixEpoch.AddMicroseconds(micros).ToLocalTime(),
                Id = device,
                Level = Enum.TryParse(Field(entry, "PRIORITY"), out LogLevel level) ? level : null,
                ProcessId = int.TryParse(Field(entry, "_PID"), CultureInfo.InvariantCulture, out int process) ? process : 0,
                Message = Field(entry, "MESSAGE") ?? "",
            }
            : null;
    }

    // A message that is no valid UTF-8 is an array of bytes there; ours always are.
    private static string? Field(JsonElement entry, string name) =>
        entry.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static DateTime? Time(string text, DateTime now)
    {
        if (DateTime.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeLocal, out DateTime time)
            && text.Contains('T', StringComparison.Ordinal))
        {
            return time;
        }

        if (!DateTime.TryParseExact($"{now.Year} {text}", "yyyy MMM d HH:mm:ss", CultureInfo.InvariantCulture,
            DateTimeStyles.AllowInnerWhite | DateTimeStyles.AssumeLocal, out time))
        {
            return null;
        }

        return time > now.AddDays(1) ? time.AddYears(-1) : time;
    }

    [GeneratedRegex(
        @"^(?<time>\S+T\S+|\w{3} [ \d]\d [\d:]{8}) (?:\S+ )?ublk\[(?<process>\d+)\]: (?<id>\d+) (?<level>\w+): (?<message>.*)$")]
    private static partial Regex TextLine();
}
