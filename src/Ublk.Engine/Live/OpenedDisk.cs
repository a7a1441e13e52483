using Ublk.Catalog;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Filters;
using Ublk.Specification;
using Ublk.Targets;

namespace Ublk.Live;

/// <summary>What stands behind a disk.</summary>
/// <param name="Specification">The device.</param>
/// <param name="Generation">How often workers have opened the disk anew.</param>
/// <param name="Options">What the target was opened with.</param>
/// <param name="Storage">The target, with those of its filters that cannot be exchanged.</param>
/// <param name="Target">The same with the other filters: what answers the requests.</param>
/// <param name="File">Which file it is; null where there is none that the target has open.</param>
internal sealed record OpenedDisk(
    DeviceSpecification Specification, int Generation, TargetOptions Options, BlockTarget Storage, BlockTarget Target, FileIdentity? File)
{
    /// <summary>The two places of a disk that a move keeps alike, or one of which it no longer does; null for others.</summary>
    public UblkMirror? Mirror { get; init; }

    /// <summary>The target without any filter.</summary>
    public BlockTarget Bare
    {
        get
        {
            BlockTarget target = Storage;
            while (target is FilterTarget filter)
            {
                target = filter.Inner;
            }

            return target;
        }
    }

    /// <summary>Opens a disk.</summary>
    /// <param name="specification">The device.</param>
    /// <param name="generation">How often workers have opened the disk anew.</param>
    /// <param name="options">What the target is opened with.</param>
    /// <param name="open">Opens the target with the filters that it is given.</param>
    /// <exception cref="UblkException">It cannot be opened; nothing is left open.</exception>
    public static OpenedDisk Open(
        DeviceSpecification specification, int generation, TargetOptions options,
        Func<DeviceSpecification, TargetOptions, BlockTarget> open)
    {
        int exchangeable = FilterStack.CountExchangeable(specification.Filters);
        BlockTarget storage = open(specification with { Filters = [.. specification.Filters.Skip(exchangeable)] }, options);
        try
        {
            FileIdentity? file =
                Path.IsPathRooted(storage.BackingPath) && storage.Files is [{ } handle, ..] ? FileIdentity.Of(handle) : null;
            BlockTarget target = FilterStack.Wrap(specification.Filters.Take(exchangeable), storage, options);
            return new OpenedDisk(specification, generation, options, storage, target, file);
        }
        catch
        {
            storage.Dispose();
            throw;
        }
    }

    /// <summary>The same disk with other filters before its storage.</summary>
    /// <exception cref="UblkException">A filter that would change cannot be exchanged while the disk is in use.</exception>
    public OpenedDisk WithFilters(IReadOnlyList<UblkFilter> filters)
    {
        int former = FilterStack.CountExchangeable(Specification.Filters);
        int exchangeable = FilterStack.CountExchangeable(filters);
        if (!filters.Skip(exchangeable).Select(filter => $"{filter}")
            .SequenceEqual(Specification.Filters.Skip(former).Select(filter => $"{filter}")))
        {
            throw new UblkException(UblkError.NotSupported,
                "Only filters that keep no state can be exchanged while the disk is in use, and only before all others: "
                    + string.Join(", ", FilterCatalog.All.Where(filter => filter.IsExchangeable).Select(filter => filter.Name))
                    + $". Change only these: Set-UblkDevice {Specification.Id} -Filter. To change others, remove the device and create it "
                    + "again.",
                deviceId: Specification.Id);
        }

        return this with
        {
            Specification = Specification with { Filters = filters },
            Target = FilterStack.Wrap(filters.Take(exchangeable), Storage, Options),
        };
    }

    /// <summary>A record with what concerns the disk.</summary>
    public DeviceRecord Describe(DeviceRecord record) => record with
    {
        Specification = Specification,
        Generation = Generation,
        Mirror = Mirror,
        BackingPath = Target.BackingPath,
        BackingFile = File,
        TargetProperties = Target.Properties,
        KeepsState = Target.KeepsState,
        Overlays = Options.Generations.ToDictionary(
            overlay => overlay.Key, overlay => new OverlayIdentity(overlay.Value, FileIdentity.Of(overlay.Key))),
    };
}
