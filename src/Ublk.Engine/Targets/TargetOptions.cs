using System.Globalization;
using Ublk.Specification;

namespace Ublk.Targets;

/// <summary>What a target is opened with: its own options, and what holds for every target.</summary>
public sealed class TargetOptions
{
    private readonly Dictionary<string, string> _values;

    /// <summary>Wraps option values that were checked against what the target declares. Names are found in any casing.</summary>
    public TargetOptions(IReadOnlyDictionary<string, string> values)
        : this(values, [], new Dictionary<string, ulong>())
    {
    }

    // Everything but the values: the lists are shared with the original.
    private TargetOptions(IReadOnlyDictionary<string, string> values, TargetOptions other)
        : this(values, other.Warnings, other.Generations)
    {
        ReadOnly = other.ReadOnly;
        IgnoreLock = other.IgnoreLock;
        StatePath = other.StatePath;
        MustHaveState = other.MustHaveState;
        FormerGenerations = other.FormerGenerations;
        FormerSize = other.FormerSize;
        LogicalBlockSize = other.LogicalBlockSize;
        QueueThreads = other.QueueThreads;
        Recovery = other.Recovery;
        Warn = other.Warn;
        Inform = other.Inform;
        SizeChanged = other.SizeChanged;
        Companion = other.Companion;
        Backing = other.Backing;
        FirstFile = other.FirstFile;
    }

    private TargetOptions(IReadOnlyDictionary<string, string> values, IList<string> warnings, IDictionary<string, ulong> generations)
    {
        _values = new Dictionary<string, string>(values, StringComparer.OrdinalIgnoreCase);
        Warnings = warnings;
        Generations = generations;
    }

    /// <summary>Whether the disk is to refuse writes.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Whether a backing file that is in use is opened all the same.</summary>
    public bool IgnoreLock { get; init; }

    /// <summary>
    /// The device's own file, in memory, for what must outlive the worker and not the device; null where there is none. The target makes
    /// it, and the removal of the device deletes it.
    /// </summary>
    public string? StatePath { get; init; }

    /// <summary>
    /// Whether a former worker, in whose place the target serves, kept its state there: without it, what was answered is lost.
    /// </summary>
    internal bool MustHaveState { get; init; }

    /// <summary>The block size, in bytes, that clients of the disk will see; null where it is the target's own.</summary>
    internal int? LogicalBlockSize { get; init; }

    /// <summary>How many threads will hand requests to the target, each by a queue of its own.</summary>
    internal int QueueThreads { get; init; } = 1;

    /// <summary>Whether, and how, the disk will outlive its worker.</summary>
    internal RecoveryMode Recovery { get; init; }

    /// <summary>Takes a sentence for the log of a disk that is served. Callable from any thread.</summary>
    internal Action<string> Warn { get; init; } = static _ => { };

    /// <summary>The same for a sentence that is good news.</summary>
    internal Action<string> Inform { get; init; } = static _ => { };

    /// <summary>Called when the target's size counter has changed, so that the disk may follow. Callable from any thread.</summary>
    internal Action SizeChanged { get; init; } = static () => { };

    /// <summary>
    /// What goes before the process's id, a program and its arguments to run the program with the disk's socket, and to end it with the
    /// disk's process.
    /// </summary>
    internal IReadOnlyList<string> Companion { get; init; } = [];

    /// <summary>
    /// The open target that an image is read over, in place of its backing file, which that target serves; it stays the caller's. Its
    /// files come before those of the image. Null to open the backing file.
    /// </summary>
    internal BlockTarget? Backing { get; init; }

    /// <summary>How many files of another target the queues have before those of this one.</summary>
    internal int FirstFile { get; init; }

    /// <summary>Where a target leaves sentences the user should see although the device works.</summary>
    public IList<string> Warnings { get; }

    /// <summary>
    /// The files of a device that is there already which were made for it, with the random number in each; null for a new device. Only a
    /// new device may make such a file, and what another opens must have the same number.
    /// </summary>
    internal IReadOnlyDictionary<string, ulong>? FormerGenerations { get; init; }

    /// <summary>The size in bytes of a disk that is there already, as its users see it; null for a new disk.</summary>
    internal long? FormerSize { get; init; }

    /// <summary>Where the random number of each such file that is opened is left, by the path that was given.</summary>
    internal IDictionary<string, ulong> Generations { get; }

    /// <summary>The same for a disk that may have to refuse writes.</summary>
    internal TargetOptions With(bool readOnly) => new(_values, this) { ReadOnly = readOnly };

    /// <summary>What holds for every target, with other values.</summary>
    internal TargetOptions With(IReadOnlyDictionary<string, string> values) => new(values, this);

    /// <summary>The file or block device behind the disk; null when not given.</summary>
    internal string? BackingPath => GetText(DeviceSpecification.BackingPathOption);

    /// <summary>A text or path, or null when not given.</summary>
    public string? GetText(string name) => _values.GetValueOrDefault(name);

    /// <summary>A whole number, of bytes or of something else; null when not given.</summary>
    public long? GetNumber(string name) =>
        GetText(name) is { } text ? long.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture) : null;

    /// <summary>A share from 0 to 1, or null when not given.</summary>
    public double? GetFraction(string name) =>
        GetText(name) is { } text ? double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture) : null;

    /// <summary>What was chosen, or null when not given.</summary>
    public IReadOnlyList<string>? GetChoices(string name) => GetText(name)?.Split(',');

    /// <summary>A program and its arguments, or null when not given.</summary>
    public IReadOnlyList<string>? GetCommand(string name) => GetText(name) is { } text ? CommandText.TryParse(text) : null;

    /// <summary>True or false, or null when not given.</summary>
    public bool? GetBoolean(string name) => GetText(name) is { } text ? bool.Parse(text) : null;
}
