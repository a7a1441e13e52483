using Ublk.Files;
using Ublk.Specification;
using Ublk.Targets;

namespace Ublk.Catalog;

/// <summary>Checks all of a specification: the device, its filters and its target's options.</summary>
/// <remarks>Code that makes a specification from user input checks it once. Code that receives one relies on that.</remarks>
internal static class SpecificationCheck
{
    /// <summary>Checks what can be checked without touching a device or a file, and without the assembly.</summary>
    /// <exception cref="UblkException">A value is out of range, or the target does not know an option.</exception>
    public static void Run(DeviceSpecification specification)
    {
        specification.Validate();
        FilterStack.Check(specification);
        if (specification.Assembly is null)
        {
            TargetCatalog.Find(specification.Target).CheckOptions(specification.Options);
        }
    }

    /// <summary>The same for a new disk, which must not be the bytes of an image by mistake.</summary>
    /// <remarks>Only a new disk is looked at: clients may have written an image to one that is made again.</remarks>
    /// <exception cref="UblkException">As above, or the file behind the disk holds an image.</exception>
    public static void RunNew(DeviceSpecification specification)
    {
        Run(specification);
        bool servesBytes = specification.Assembly is null && TargetCatalog.Find(specification.Target).ServesBytes;
        if (servesBytes && specification.BackingPath is { } path && !specification.Options.ContainsKey("Format")
            && !StartsElsewhere(specification.Options))
        {
            ForeignFormat.RefuseAsDisk(path);
        }
    }

    /// <summary>Whether a new worker can take over such a disk. That is not known of a target in an assembly.</summary>
    public static bool IsRecoverable(DeviceSpecification specification) => specification.Assembly is null
        && (specification.ReadOnly || TargetCatalog.Find(specification.Target).RecoversWrites)
        && specification.Filters.All(filter =>
            FilterCatalog.Find(filter.Name).WhyNotRecoverable(new TargetOptions(filter.Options)) is null);

    private static bool StartsElsewhere(IReadOnlyDictionary<string, string> options) =>
        options.TryGetValue("Offset", out string? text) && long.TryParse(text, out long offset) && offset != 0;
}
