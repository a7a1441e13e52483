using Microsoft.Win32.SafeHandles;
using Ublk.Catalog;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Filters;
using Ublk.Live;
using Ublk.Specification;

namespace Ublk.Lifecycle;

/// <summary>Exchanges the filters of live devices, and sets their limits. It holds for later workers of the device, too.</summary>
internal static class DeviceFilters
{
    /// <summary>Changes the filters of a device.</summary>
    /// <param name="id">The device.</param>
    /// <param name="change">Makes the filters that it is to have from those that it has.</param>
    /// <param name="step">Called with a sentence for each step, on the calling thread.</param>
    /// <param name="cancellation">Gives up before anything is changed.</param>
    /// <exception cref="UblkException">The device is not ours or not live, or a filter cannot be exchanged; nothing is changed.</exception>
    public static void Set(
        int id, Func<IReadOnlyList<UblkFilter>, IReadOnlyList<UblkFilter>> change, Action<string> step, CancellationToken cancellation)
    {
        using ControlDevice control = new();
        using SafeFileHandle idLock = StateDirectory.Own.LockDevice(id, cancellation);
        DeviceSpecification specification = DeviceTransitions.LiveRecordOf(control, id, cancellation).Specification;
        DeviceSpecification wanted = specification with { Filters = change(specification.Filters) };
        FilterStack.Check(wanted);
        using LiveConnection worker = LiveConnection.Open(id, step);
        worker.Run(LiveAction.Exchange, wanted, cancellation);
    }

    /// <summary>Filters with others in place of those that can be exchanged; or all of the others, if some of them cannot be.</summary>
    public static IReadOnlyList<UblkFilter> Replace(IReadOnlyList<UblkFilter> filters, IReadOnlyList<UblkFilter> others) =>
        FilterStack.CountExchangeable(others) < others.Count
            ? others
            : [.. others, .. filters.Skip(FilterStack.CountExchangeable(filters))];

    /// <summary>Filters with other limits: those of the first RateLimit filter, or of a new one before all others.</summary>
    /// <param name="filters">The filters.</param>
    /// <param name="limits">The options of the RateLimit filter that change; 0 ends a limit.</param>
    /// <exception cref="UblkException">There is no limit to which a burst could apply.</exception>
    public static IReadOnlyList<UblkFilter> Limit(IReadOnlyList<UblkFilter> filters, IReadOnlyDictionary<string, long> limits)
    {
        UblkFilter? former = filters.Take(FilterStack.CountExchangeable(filters)).FirstOrDefault(filter =>
            string.Equals(filter.Name, RateLimitFilter.Definition.Name, StringComparison.OrdinalIgnoreCase));
        Dictionary<string, string> options = new(former?.Options ?? new Dictionary<string, string>(), StringComparer.OrdinalIgnoreCase);
        foreach ((string name, long limit) in limits)
        {
            options[name] = $"{limit}";
            if (limit == 0 && name != RateLimitFilter.BurstOption)
            {
                options.Remove(name);
            }
        }

        bool isLimited = RateLimitFilter.Limits.Any(limit => options.ContainsKey(limit.Name));
        if (!isLimited && limits.Keys.All(name => name == RateLimitFilter.BurstOption))
        {
            throw new UblkException(UblkError.InvalidArgument, "The disk has no limit. Give -ReadLimit or another limit with -LimitBurst.");
        }

        IEnumerable<UblkFilter> next = isLimited ? [new UblkFilter(RateLimitFilter.Definition.Name, options)] : [];
        return former is null ? [.. next, .. filters] : [.. filters.SelectMany(filter => filter == former ? next : [filter])];
    }
}
