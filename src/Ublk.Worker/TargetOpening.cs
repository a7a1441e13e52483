using Ublk.Catalog;
using Ublk.Filters;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Worker.Plugins;

namespace Ublk.Worker;

/// <summary>Opens what a device is made of: its target, built in or from an assembly, with its filters.</summary>
internal static class TargetOpening
{
    /// <summary>Opens a device's target.</summary>
    /// <param name="specification">The device.</param>
    /// <param name="options">What it is opened with; warnings are left there.</param>
    /// <exception cref="UblkException">It cannot be opened.</exception>
    public static BlockTarget Open(DeviceSpecification specification, TargetOptions options)
    {
        Func<TargetOptions, BlockTarget> open = specification.Assembly is { } assembly
            ? Find(assembly, specification)
            : TargetCatalog.Find(specification.Target).Open;
        BlockTarget disk = FilterStack.Open(specification.Filters, open, options);
        return specification.WriteCache == WriteCache.Through ? WriteThroughFilter.Wrap(disk) : disk;
    }

    // Its exceptions are reported as errors of the plug-in.
    private static Func<TargetOptions, BlockTarget> Find(string assembly, DeviceSpecification specification)
    {
        TargetDefinition definition = PluginCatalog.Find(assembly, specification.Target, PluginLoader.Load(assembly));
        definition.CheckOptions(specification.Options);
        return options =>
        {
            try
            {
                return definition.Open(options) ?? throw new InvalidOperationException("It returned null.");
            }
            catch (Exception exception) when (exception is not UblkException)
            {
                throw new UblkException(UblkError.PluginInvalid,
                    $"The {definition.Name} target of {assembly} cannot be opened: {exception.GetType().Name}: {exception.Message}",
                        operation: "open");
            }
        };
    }
}
