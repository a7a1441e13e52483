using Ublk.Specification;

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
}
