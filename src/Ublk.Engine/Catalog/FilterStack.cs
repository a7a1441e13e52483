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

    /// <summary>How many filters a disk has, from the first on, that can be exchanged while it is in use.</summary>
    public static int CountExchangeable(IReadOnlyList<UblkFilter> filters) =>
        filters.TakeWhile(filter => FilterCatalog.Find(filter.Name).IsExchangeable).Count();

    /// <summary>Opens a target with its filters. A request meets them in the order in which they are given.</summary>
    /// <param name="filters">The filters.</param>
    /// <param name="open">Opens the target.</param>
    /// <param name="options">What the target is opened with.</param>
    /// <exception cref="UblkException">The target or a filter cannot be opened; nothing is left open.</exception>
    public static BlockTarget Open(IEnumerable<UblkFilter> filters, Func<TargetOptions, BlockTarget> open, TargetOptions options)
    {
        BlockTarget target = open(options.With(options.ReadOnly || filters.Any(filter => FilterCatalog.Find(filter.Name).OnlyReads)));
        foreach (UblkFilter filter in filters.Reverse())
        {
            try
            {
                target = Wrap(filter, target, options);
            }
            catch
            {
                target.Dispose();
                throw;
            }
        }

        return target;
    }

    /// <summary>Puts filters before an open target.</summary>
    /// <exception cref="UblkException">A filter cannot be opened.</exception>
    public static BlockTarget Wrap(IEnumerable<UblkFilter> filters, BlockTarget target, TargetOptions options) =>
        filters.Reverse().Aggregate(target, (inner, filter) => Wrap(filter, inner, options));

    /// <summary>Has the filters before a target complete the requests that they delay: others have taken their place.</summary>
    /// <param name="front">The first filter, or the target itself.</param>
    /// <param name="target">The target, which stays.</param>
    public static void Retire(BlockTarget front, BlockTarget target)
    {
        while (front != target)
        {
            FilterTarget filter = (FilterTarget)front;
            filter.Retire();
            front = filter.Inner;
        }
    }

    private static BlockTarget Wrap(UblkFilter filter, BlockTarget target, TargetOptions options) =>
        FilterCatalog.Find(filter.Name).Wrap(target, options.With(filter.Options));
}
