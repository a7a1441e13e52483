using Ublk.Filters;

namespace Ublk.Catalog;

/// <summary>The filters this engine has.</summary>
internal static class FilterCatalog
{
    /// <summary>Every filter; a new one adds its line here.</summary>
    public static IReadOnlyList<FilterDefinition> All { get; } =
    [
        CacheFilter.Definition,
        DelayFilter.Definition,
        ErrorFilter.Definition,
        HangFilter.Definition,
        OffsetFilter.Definition,
        OverlayFilter.Definition,
        PartitionFilter.Definition,
        RateLimitFilter.Definition,
        ReadOnlyFilter.Definition,
        StatisticsFilter.Definition,
    ];

    /// <summary>The filter of a name, in any casing.</summary>
    /// <exception cref="UblkException">There is none.</exception>
    public static FilterDefinition Find(string name) => TryFind(name) ?? throw new UblkException(UblkError.UnknownFilter,
        $"There is no filter named '{name}'. Choose from: {string.Join(", ", All.Select(filter => filter.Name))}.");

    /// <summary>The filter of a name, in any casing, or null.</summary>
    public static FilterDefinition? TryFind(string name) =>
        All.FirstOrDefault(filter => string.Equals(filter.Name, name, StringComparison.OrdinalIgnoreCase));
}
