namespace Ublk.Devices;

/// <summary>The two places of a disk that Move-UblkDevice -Mirror keeps alike.</summary>
/// <param name="Legs">The former place, and the next.</param>
public sealed record UblkMirror(IReadOnlyList<UblkMirrorLeg> Legs)
{
    /// <summary>Whether both places have all that was written.</summary>
    public bool IsInSync => Legs.All(leg => leg.IsInSync);

    /// <summary>The same, with a place that gets no more writes.</summary>
    /// <param name="leg">0 for the former, 1 for the next.</param>
    /// <param name="failure">The reason, a sentence.</param>
    internal UblkMirror Drop(int leg, string failure) =>
        new([.. Legs.Select((other, index) => index == leg ? other with { Failure = failure } : other)]);

    /// <summary>The same for the next worker. It serves the place that the record has as the disk: the former one of two in sync.</summary>
    internal UblkMirror Interrupt() => IsInSync
        ? Drop(1, "The worker of the device ended: writes in flight may have reached one of the two places only.")
        : this;

    /// <summary>Checks that a place has all that was written.</summary>
    /// <param name="id">The device.</param>
    /// <param name="leg">0 for the former, 1 for the next.</param>
    /// <exception cref="UblkException">It was dropped.</exception>
    internal void RequireInSync(int id, int leg)
    {
        if (Legs[leg].Failure is { } failure)
        {
            throw new UblkException(UblkError.DeviceStateInvalid,
                $"{Legs[leg].BackingPath} is no longer in sync with device {id}, so it cannot become its disk. {failure} End the mirror "
                    + $"with {Legs[1 - leg].BackingPath}: Move-UblkDevice {id} {(leg == 0 ? "-Complete" : "-Undo")}",
                operation: "move", deviceId: id);
        }
    }

    /// <summary>The error of a command that would change a disk in two places.</summary>
    /// <param name="id">The device.</param>
    internal UblkException Refusal(int id) => new(UblkError.NotSupported,
        $"The disk of device {id} is in two places, and cannot be changed: {this}. End the mirror first: Move-UblkDevice {id} -Complete, "
            + "or -Undo",
        operation: "change", deviceId: id);

    /// <inheritdoc/>
    public override string ToString() => string.Join(", ", Legs);
}

/// <summary>One of the two places.</summary>
public sealed record UblkMirrorLeg
{
    /// <summary>The target that serves it.</summary>
    public required string Target { get; init; }

    /// <summary>The file, block device or URI.</summary>
    public string? BackingPath { get; init; }

    /// <summary>Whether it has all that was written. Otherwise it gets no more writes, and the other place is the disk.</summary>
    public bool IsInSync => Failure is null;

    /// <summary>Why it is not in sync; null where it is.</summary>
    public string? Failure { get; init; }

    /// <inheritdoc/>
    public override string ToString() => $"{BackingPath} ({(IsInSync ? "in sync" : "dropped")})";
}
