using Ublk.Filters;
using Ublk.Specification;
using Ublk.Targets;

namespace Ublk.Catalog;

/// <summary>The filters of a disk, before its target. Where there are none, the target is all there is.</summary>
internal static class FilterStack
{
    /// <summary>Checks filters against each other and the device they are for.</summary>
    /// <exception cref="UblkException">One is malformed, or cannot be on such a device.</exception>
    public static void Check(DeviceSpecification specification)
    {
        foreach (UblkFilter filter in specification.Filters)
        {
            FilterDefinition definition = FilterCatalog.Check(filter);
            if (specification.Recovery != RecoveryMode.None
                && definition.WhyNotRecoverable(new TargetOptions(filter.Options)) is { } reason)
            {
                throw new UblkException(UblkError.InvalidArgument, $"{reason} Leave out -Recovery and -AutoRestart.");
            }
        }
    }

    /// <summary>Opens a target with its filters. A request meets them in the order in which they are given.</summary>
    /// <param name="filters">The filters.</param>
    /// <param name="open">Opens the target.</param>
    /// <param name="options">What the target is opened with.</param>
    /// <exception cref="UblkException">The target or a filter cannot be opened; nothing is left open.</exception>
    public static BlockTarget Open(IReadOnlyList<UblkFilter> filters, Func<TargetOptions, BlockTarget> open, TargetOptions options)
    {
        if (filters.Count == 0)
        {
            return open(options);
        }

        BlockTarget target = open(options.With(options.ReadOnly || filters.Any(filter => FilterCatalog.Find(filter.Name).OnlyReads)));
        try
        {
            foreach (UblkFilter filter in filters.Reverse())
            {
                target = FilterCatalog.Find(filter.Name).Wrap(target, options.With(filter.Options));
            }

            return target;
        }
        catch
        {
            target.Dispose();
            throw;
        }
    }
}
