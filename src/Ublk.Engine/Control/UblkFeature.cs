namespace Ublk.Control;

/// <summary>A feature of the driver, and whether the driver of this kernel has it.</summary>
public sealed record UblkFeature
{
    /// <summary>Its name in <see cref="UblkFeatures"/>.</summary>
    public required string Name { get; init; }

    /// <summary>Its bit: 10 for UBLK_F_UPDATE_SIZE.</summary>
    public required int Bit { get; init; }

    /// <summary>Whether this kernel's driver has it.</summary>
    public required bool Supported { get; init; }

    /// <summary>The first kernel that has it.</summary>
    public required Version Since { get; init; }

    /// <summary>What it means, in a line.</summary>
    public required string Description { get; init; }

    /// <summary>The cmdlets and parameters that make use of it.</summary>
    public required IReadOnlyList<string> Parameters { get; init; }

    /// <summary>Why it is not there; null where it is.</summary>
    public string? Note { get; init; }
}
