using Ublk.Devices;

namespace Ublk.Registration;

/// <summary>A device that systemd makes when the machine boots.</summary>
public sealed class UblkRegistration
{
    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>The target's name; null where the specification cannot be read.</summary>
    public string? Target { get; init; }

    /// <summary>The file or block device behind the disk, or null.</summary>
    public string? BackingPath { get; init; }

    /// <summary>The name of the device while it is there.</summary>
    public string Symlink => DeviceSymlink.PathOf(Name);

    /// <summary>The unit that makes the device when it is started and removes it when it is stopped.</summary>
    public string Unit => $"ublk@{Name}.service";

    /// <summary>Where the device is described.</summary>
    public string SpecificationPath => $"{DeviceRegistrar.Folder}/{Name}{DeviceRegistrar.Extension}";

    /// <summary>What the unit has beyond its template.</summary>
    internal string DropInPath => $"{RegistrationText.UnitFolder}/{Unit}.d/10-registration.conf";

    /// <summary>The unit of a device that was registered before there was a template.</summary>
    internal string FormerUnitPath => $"{RegistrationText.UnitFolder}/{Unit}";

    /// <summary>The rule that announces the name to udev and systemd.</summary>
    internal string RulePath => $"/etc/udev/rules.d/60-ublk-{Name}.rules";

    /// <summary>All that a registration consists of.</summary>
    internal IReadOnlyList<string> Files => [SpecificationPath, RulePath, DropInPath, FormerUnitPath];

    /// <summary>The registration's name.</summary>
    public override string ToString() => Name;
}
