namespace Ublk.Targets;

/// <summary>What users see of a kind of disk: its name and its options.</summary>
/// <param name="Name">The name users type after <c>-Target</c>.</param>
/// <param name="Summary">One line about it.</param>
/// <param name="Options">The options it understands.</param>
public record UblkTarget(string Name, string Summary, IReadOnlyList<TargetOption> Options)
{
    /// <summary>The assembly it is loaded from; null for a target that is built in.</summary>
    public string? Assembly { get; init; }

    /// <summary>The target's name.</summary>
    public override string ToString() => Name;

    /// <summary>Checks that every option is known, readable as its kind, and that none is missing.</summary>
    /// <exception cref="UblkException">An option is unknown, missing or malformed.</exception>
    internal void CheckOptions(IReadOnlyDictionary<string, string> options) => TargetOption.Check($"The {Name} target", Options, options);
}
