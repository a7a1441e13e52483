using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>A filter that devices can have.</summary>
/// <param name="Name">The name that users type after <c>-Filter</c>. An option of the same name takes the value after it.</param>
/// <param name="Summary">One line about it.</param>
/// <param name="Options">Its options.</param>
public record UblkFilterDefinition(string Name, string Summary, IReadOnlyList<TargetOption> Options)
{
    /// <summary>The filter's name.</summary>
    public override string ToString() => Name;
}
