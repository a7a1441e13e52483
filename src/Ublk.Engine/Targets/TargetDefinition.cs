namespace Ublk.Targets;

/// <summary>A kind of disk as the worker knows it: its name, its options, and how to open one.</summary>
/// <param name="Name">The name users type after <c>-Target</c>.</param>
/// <param name="Summary">One line about it.</param>
/// <param name="Options">The options it understands.</param>
/// <param name="Open">Opens a target; throws <see cref="UblkException"/> where that is impossible.</param>
public sealed record TargetDefinition(
    string Name, string Summary, IReadOnlyList<TargetOption> Options, Func<TargetOptions, BlockTarget> Open)
    : UblkTarget(Name, Summary, Options)
{
    /// <summary>
    /// Opens what is behind a disk of these options, which may be read-only, while a worker serves it; null for targets whose disks
    /// cannot change their size.
    /// </summary>
    internal Func<IReadOnlyDictionary<string, string>, bool, DiskStorage>? OpenStorage { get; init; }

    /// <summary>
    /// The counter in which a worker says how large what is behind its disk is, where only the worker can know; null for other targets.
    /// </summary>
    internal string? SizeCounter { get; init; }

    /// <summary>
    /// Changes the size of what is behind a disk elsewhere, in bytes, while its worker serves it. Runs in a process of its own; null for
    /// targets that cannot.
    /// </summary>
    internal Action<TargetOptions, long>? ResizeStorage { get; init; }

    /// <summary>
    /// Whether a disk is the bytes of the file Path from Offset on. A new disk of a file that holds an image is then refused, unless
    /// Format is Raw.
    /// </summary>
    internal bool ServesBytes { get; init; }

    /// <summary>Whether a disk is an image, which the operations on images can change while no worker serves it.</summary>
    internal bool IsImage { get; init; }

    /// <summary>Whether a disk may be on another machine, so that it needs the network when it is made at boot.</summary>
    internal bool NeedsNetwork { get; init; }

    /// <summary>Whether a new worker can take over a disk that is written; the target refuses recovery of such disks otherwise.</summary>
    internal bool RecoversWrites { get; init; } = true;

    /// <inheritdoc/>
    public override string ToString() => Name;
}
