using System.Text.Json.Serialization;
using Ublk.Specification;
using Ublk.Workers;

namespace Ublk.Live;

/// <summary>One command to the worker of a device.</summary>
/// <param name="Action">What to do.</param>
/// <param name="Specification">The device as it is to be, for actions that change it.</param>
internal sealed record LiveOrder(LiveAction Action, DeviceSpecification? Specification = null)
{
    /// <summary>The version of these messages; a worker takes no other than its own.</summary>
    public const int CurrentVersion = 1;

    /// <summary>The new image of <see cref="LiveAction.Backup"/>.</summary>
    public BackupOrder? Backup { get; init; }

    /// <summary>What <see cref="LiveAction.Move"/> copies.</summary>
    public MoveOrder? Move { get; init; }

    /// <summary>The place that <see cref="LiveAction.Settle"/> keeps: 0 for the former, 1 for the next.</summary>
    public int Leg { get; init; }

    /// <summary>The version that the sender uses.</summary>
    public int Version { get; init; } = CurrentVersion;
}

/// <summary>What a worker can be asked to do.</summary>
internal enum LiveAction
{
    /// <summary>Exchange the filters that can be.</summary>
    Exchange,

    /// <summary>Hold new requests, and wait until those in flight are answered. The end of the channel lets them go on.</summary>
    Hold,

    /// <summary>Make what was written durable, and close the target: what is behind the disk is at rest.</summary>
    Close,

    /// <summary>
    /// Open the target anew, as the specification says, and record that. After <see cref="Merge"/> and <see cref="Move"/> it is open
    /// already.
    /// </summary>
    Open,

    /// <summary>
    /// Serve the closed disk again, and copy what its image has into the backing file, which the specification has as the disk. At the
    /// end new requests are held, and both files have the same content. <see cref="Close"/> then gives that up, as does the end of the
    /// channel, unless the device was registered with the backing file by then.
    /// </summary>
    Merge,

    /// <summary>
    /// After <see cref="Move"/>: let the held requests go on, and have all changes go to both places until <see cref="Settle"/>.
    /// </summary>
    Mirror,

    /// <summary>End that: one of the two places is the disk from then on.</summary>
    Settle,

    /// <summary>Copy what the backing file has into the image, where that has nothing of its own.</summary>
    Pull,

    /// <summary>
    /// Copy the disk to the place that the specification has as the disk. At the end new requests are held, and both have the same
    /// content. <see cref="Close"/> then gives the copy up, and leaves the disk open; the end of the channel is as for
    /// <see cref="Merge"/>.
    /// </summary>
    Move,

    /// <summary>Create the image of a backup, empty. The end of the channel removes it.</summary>
    Backup,

    /// <summary>
    /// Let held requests go on, and copy the disk as it is before that into the image of the backup, which is then whole and durable.
    /// </summary>
    Copy,

    /// <summary>Give the image of the backup its name.</summary>
    Finish,
}

/// <summary>A report of a worker about the command that it carries out.</summary>
internal sealed record LiveReport
{
    /// <summary>Whether the command has ended.</summary>
    public bool IsFinished { get; init; }

    /// <summary>A sentence about what the worker does now.</summary>
    public string? Step { get; init; }

    /// <summary>How much of that is done; null where it is not known.</summary>
    public int? Percent { get; init; }

    /// <summary>Warnings for the user.</summary>
    public IReadOnlyList<string> Warnings { get => field ?? []; init; } = [];

    /// <summary>Why the command failed; null where it succeeded.</summary>
    public WorkerFailure? Failure { get; init; }
}

/// <summary>
/// How orders and reports are written: compiled in, since the worker has no reflection; and with names for what versions may number
/// differently.
/// </summary>
[JsonSourceGenerationOptions(
    UseStringEnumConverter = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(LiveOrder))]
[JsonSerializable(typeof(LiveReport))]
internal sealed partial class LiveJson : JsonSerializerContext;
