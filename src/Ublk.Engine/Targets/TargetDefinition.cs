namespace Ublk.Targets;

/// <summary>A kind of disk as the catalogue knows it: its name, its options, and how to open one.</summary>
/// <param name="Name">The name users type after <c>-Target</c>.</param>
/// <param name="Summary">One line about it.</param>
/// <param name="Options">The options it understands.</param>
/// <param name="Open">Opens a target; throws <see cref="UblkException"/> where that is impossible.</param>
public sealed record TargetDefinition(
    string Name, string Summary, IReadOnlyList<TargetOption> Options, Func<TargetOptions, BlockTarget> Open)
{
    /// <summary>
    /// Opens what is behind a disk of these options, which may be read-only, while a worker serves it; null for targets whose disks
    /// cannot change their size.
    /// </summary>
    public Func<IReadOnlyDictionary<string, string>, bool, DiskStorage>? OpenStorage { get; init; }

    /// <summary>Whether the target has an option of this name.</summary>
    public bool Accepts(string option) => FindOption(option) is not null;

    /// <summary>Checks that every option is known, readable as its kind, and that none is missing.</summary>
    /// <exception cref="UblkException">An option is unknown, missing or malformed.</exception>
    public void CheckOptions(IReadOnlyDictionary<string, string> options)
    {
        foreach ((string name, string value) in options)
        {
            TargetOption option = FindOption(name) ?? throw new UblkException(UblkError.UnsupportedOption,
                $"The {Name} target takes no {name}. {DescribeOptions()}");
            option.Check(value);
        }

        foreach (TargetOption option in Options)
        {
            if (option.IsMandatory && !options.ContainsKey(option.Name))
            {
                throw new UblkException(UblkError.InvalidArgument, $"The {Name} target needs a {option.Name}: {option.Help}");
            }
        }
    }

    private TargetOption? FindOption(string name) =>
        Options.FirstOrDefault(option => string.Equals(option.Name, name, StringComparison.OrdinalIgnoreCase));

    private string DescribeOptions() => Options.Count == 0
        ? "It has no options."
        : $"Its options: {string.Join(", ", Options.Select(option => option.Name))}.";
}
