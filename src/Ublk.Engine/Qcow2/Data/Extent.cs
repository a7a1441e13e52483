using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.Data;

/// <summary>A part of the disk that is in one piece somewhere.</summary>
/// <param name="Kind">Where it is.</param>
/// <param name="Length">Bytes from the offset that was looked up.</param>
/// <param name="HostOffset">Where the first of them is in the data file, if it is there.</param>
/// <param name="Entry">The L2 entry of the first cluster.</param>
internal readonly record struct Extent(ExtentKind Kind, int Length, long HostOffset = 0, L2Entry Entry = default);
