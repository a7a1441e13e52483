using Ublk.Filters;
using Ublk.Specification;
using Ublk.Targets;

namespace Ublk.Catalog;

/// <summary>The filters this engine has.</summary>
internal static class FilterCatalog
{
    /// <summary>Every filter; a new one adds its line here.</summary>
    public static IReadOnlyList<FilterDefinition> All { get; } =
    [
        CacheFilter.Definition,
        DelayFilter.Definition,
        ErrorRateFilter.Definition,
        HangEveryFilter.Definition,
        OffsetFilter.Definition,
        OverlayFilter.Definition,
        PartitionFilter.Definition,
        RateLimitFilter.Definition,
        ReadOnlyFilter.Definition,
    ];

    /// <summary>The filter of a name, in any casing.</summary>
    /// <exception cref="UblkException">No filter has this name.</exception>
    public static FilterDefinition Find(string name) => TryFind(name) ?? throw new UblkException(UblkError.UnknownFilter,
        $"There is no filter named '{name}'. Choose from: {string.Join(", ", All.Select(filter => filter.Name))}.");

    /// <summary>Checks a filter and its options.</summary>
    /// <exception cref="UblkException">There is no such filter, or an option is unknown, missing or malformed.</exception>
    public static FilterDefinition Check(UblkFilter filter)
    {
        FilterDefinition definition = Find(filter.Name);
        TargetOption.Check($"The {definition.Name} filter", definition.Options, filter.Options);
        return definition;
    }

    /// <summary>The filter of a name, in any casing, or null.</summary>
    public static FilterDefinition? TryFind(string name) =>
        All.FirstOrDefault(filter => string.Equals(filter.Name, name, StringComparison.OrdinalIgnoreCase));
}
