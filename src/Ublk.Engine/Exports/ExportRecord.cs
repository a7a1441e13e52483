using System.Text.Json;
using System.Text.Json.Serialization;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Processes;
using Ublk.Workers;

namespace Ublk.Exports;

/// <summary>What the state directory has of an export: the order for its worker, and what the worker adds.</summary>
internal sealed record ExportRecord
{
    private const string Prefix = "export-";
    private const string Suffix = ".json";

    /// <summary>What is exported, and where.</summary>
    public required ExportSpecification Specification { get; init; }

    /// <summary>The worker; 0 before it serves.</summary>
    public int ProcessId { get; init; }

    /// <summary>When that process started, in ticks since the machine did: its id may be another's by now.</summary>
    public long StartTicks { get; init; }

    /// <summary>When it began to serve, in UTC.</summary>
    public DateTime StartTime { get; init; }

    /// <summary>The Unix socket that the worker has bound; null before, and for TCP.</summary>
    public FileIdentity? Socket { get; init; }

    /// <summary>Size of the disk in bytes.</summary>
    public long Size { get; init; }

    /// <summary>The image's format.</summary>
    public ImageFormat Format { get; init; }

    /// <summary>The names of what clients can ask about ranges.</summary>
    public IReadOnlyList<string> Contexts { get; init; } = [];

    /// <summary>How many clients are connected.</summary>
    public int Clients { get; init; }

    /// <summary>Warnings for the user.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>Why it cannot be served; null where it can.</summary>
    public WorkerFailure? Failure { get; init; }

    /// <summary>Whether the worker serves.</summary>
    [JsonIgnore]
    public bool IsServed => ProcessId > 0 && ProcessStatus.IsAlive(ProcessId) && ProcessStatus.StartTicksOf(ProcessId) == StartTicks;

    /// <summary>The record of a name; null where there is none.</summary>
    public static ExportRecord? TryRead(string name) => Parse(StateDirectory.Own.TryReadFile(FileOf(name)));

    /// <summary>All records of the caller.</summary>
    public static IReadOnlyList<ExportRecord> All() =>
    [
        .. StateDirectory.Own.FindFiles($"{Prefix}*{Suffix}").Select(file => Parse(StateDirectory.Own.TryReadFile(file)))
            .OfType<ExportRecord>().OrderBy(record => record.Specification.Name, StringComparer.Ordinal),
    ];

    /// <summary>Writes it.</summary>
    /// <exception cref="UblkException">The state directory cannot be written.</exception>
    public void Write() => StateDirectory.Own.WriteFile(
        FileOf(Specification.Name), JsonSerializer.SerializeToUtf8Bytes(this, ExportJson.Default.ExportRecord));

    /// <summary>Deletes it, and the socket if that is still the worker's own.</summary>
    public void Delete()
    {
        DeleteSocket();
        StateDirectory.Own.DeleteFile(FileOf(Specification.Name));
    }

    /// <summary>Deletes the socket, but no file that another program has made at its path.</summary>
    public void DeleteSocket()
    {
        if (Socket is not { } bound || FileIdentity.Of(Specification.SocketPath) is not { } found || !found.Matches(bound))
        {
            return;
        }

        try
        {
            File.Delete(Specification.SocketPath!);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Nothing listens there, and a record that stays forever would be worse than a dead socket.
        }
    }

    private static string FileOf(string name) => $"{Prefix}{name}{Suffix}";

    private static ExportRecord? Parse(byte[]? text)
    {
        try
        {
            return text is null ? null : JsonSerializer.Deserialize(text, ExportJson.Default.ExportRecord);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>How records are written: compiled in, since the worker has no reflection.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(ExportRecord))]
internal sealed partial class ExportJson : JsonSerializerContext;
