using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.Data;

/// <summary>Where a part of the disk is.</summary>
internal enum ExtentKind
{
    /// <summary>Unknown: the L2 table is not in memory.</summary>
    NotCached,

    /// <summary>Unallocated: read from the backing file.</summary>
    Unallocated,

    /// <summary>It reads as zeroes.</summary>
    Zero,

    /// <summary>In the data file, at a place that nothing else refers to.</summary>
    Data,

    /// <summary>In the data file, at a place that something else may refer to.</summary>
    SharedData,

    /// <summary>In the image, compressed.</summary>
    Compressed,

    /// <summary>The entry contradicts itself.</summary>
    Invalid,
}

/// <summary>A part of the disk that is in one piece somewhere.</summary>
/// <param name="Kind">Where it is.</param>
/// <param name="Length">Bytes from the offset that was looked up.</param>
/// <param name="HostOffset">Where the first of them is in the data file, if it is there.</param>
/// <param name="Entry">The L2 entry of the first cluster.</param>
internal readonly record struct Extent(ExtentKind Kind, int Length, long HostOffset = 0, L2Entry Entry = default);
