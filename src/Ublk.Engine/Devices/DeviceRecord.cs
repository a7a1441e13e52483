using System.Text.Json;
using System.Text.Json.Serialization;
using Ublk.Files;
using Ublk.Processes;
using Ublk.Specification;

namespace Ublk.Devices;

/// <summary>What a worker leaves in the state directory: enough to show the device, and to serve it again.</summary>
internal sealed record DeviceRecord
{
    /// <summary>What the device was made from; id and cookie are set.</summary>
    public required DeviceSpecification Specification { get; init; }

    /// <summary>The file or device behind the disk, or null.</summary>
    public string? BackingPath { get; init; }

    /// <summary>Which file that was when it was opened; null where there is none, or none that the target has open.</summary>
    public FileIdentity? BackingFile { get; init; }

    /// <summary>Information about the storage behind the disk. A record that an older version wrote has none.</summary>
    public IReadOnlyDictionary<string, string> TargetProperties { get => field ?? new Dictionary<string, string>(); init; } =
        new Dictionary<string, string>();

    /// <summary>Whether the target keeps in memory what the next worker needs; null where an older version wrote the record.</summary>
    public bool? KeepsState { get; init; }

    /// <summary>How often workers have opened the disk anew; see <see cref="StateDirectory.TargetStatePath"/>.</summary>
    public int Generation { get; init; }

    /// <summary>The two places of the disk that a move keeps alike, or did; null where there is one.</summary>
    /// <remarks>The specification names the one that the next worker serves.</remarks>
    public UblkMirror? Mirror { get; init; }

    /// <summary>What the worker could not write back when the device ended; null where there was nothing.</summary>
    public string? Failure { get; init; }

    /// <summary>Whether a command stopped or suspended the device. False while it is served, and if its worker crashed.</summary>
    public bool EndedByCommand { get; init; }

    /// <summary>The overlays of the disk, by the path that was given.</summary>
    /// <remarks>A record that an older version wrote has none.</remarks>
    public IReadOnlyDictionary<string, OverlayIdentity> Overlays { get => field ?? new Dictionary<string, OverlayIdentity>(); init; } =
        new Dictionary<string, OverlayIdentity>();

    /// <summary>The version of the worker; null where an older one wrote the record.</summary>
    public string? WorkerVersion { get; init; }

    /// <summary>The worker.</summary>
    public required int ProcessId { get; init; }

    /// <summary>When the worker made the device, in UTC.</summary>
    public required DateTime StartTime { get; init; }

    /// <summary>The supervisor, which starts a new worker when one dies; 0 without one.</summary>
    public int SupervisorId { get; init; }

    /// <summary>
    /// When that process started, in ticks since the machine did: its id may be another's by now. 0 in a record of an older version.
    /// </summary>
    public long SupervisorStartTicks { get; init; }

    /// <summary>Whether that process is still there.</summary>
    [JsonIgnore]
    public bool IsSupervised => SupervisorId > 0 && ProcessStatus.IsAlive(SupervisorId)
        && (SupervisorStartTicks == 0 || SupervisorStartTicks == ProcessStatus.StartTicksOf(SupervisorId));

    /// <summary>How often the supervisor did.</summary>
    public int Restarts { get; init; }

    /// <summary>How the last worker ended: a signal's name, or an exit code.</summary>
    public string? LastExit { get; init; }

    /// <summary>The queues' threads and CPUs.</summary>
    public IReadOnlyList<QueueInfo> Queues { get; init; } = [];

    /// <summary>Reads a record; null if it is not a record.</summary>
    /// <param name="text">The record's file.</param>
    /// <param name="isOthers">
    /// Whether another user wrote it. What it says comes to the caller's terminal, so it must not control that.
    /// </param>
    public static DeviceRecord? TryParse(byte[] text, bool isOthers)
    {
        try
        {
            return isOthers && HasControlCharacters(text) ? null : JsonSerializer.Deserialize(text, RecordJson.Default.DeviceRecord);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>Whether the device has the disk of another record of it, opened no more often, with the same filters.</summary>
    public bool HasSameDisk(DeviceRecord other) =>
        (Specification.Cookie, Generation, BackingPath) == (other.Specification.Cookie, other.Generation, other.BackingPath)
        && Specification.Filters.Select(filter => $"{filter}").SequenceEqual(other.Specification.Filters.Select(filter => $"{filter}"));

    /// <summary>The same, with the files that its paths lead to now as the right ones.</summary>
    public DeviceRecord AcceptFiles() => this with
    {
        BackingFile = BackingFile is null ? null : FileIdentity.Of(BackingPath),
        Overlays = Overlays.ToDictionary(overlay => overlay.Key, overlay => overlay.Value with { File = FileIdentity.Of(overlay.Key) }),
    };

    private static bool HasControlCharacters(byte[] text)
    {
        Utf8JsonReader reader = new(text);
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && reader.GetString()!.Any(char.IsControl))
            {
                return true;
            }
        }

        return false;
    }
}

/// <summary>Which overlay it was.</summary>
/// <param name="Generation">The random number in its header.</param>
/// <param name="File">Which file it was; null where it could not be looked at.</param>
internal sealed record OverlayIdentity(ulong Generation, FileIdentity? File);

/// <summary>How records are written: compiled in, since the worker has no reflection.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(DeviceRecord))]
internal sealed partial class RecordJson : JsonSerializerContext;
