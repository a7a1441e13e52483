namespace Ublk.Qcow2.State;

/// <summary>Clusters of the image file that lie one after the other.</summary>
/// <param name="Offset">Where the first begins, in bytes.</param>
/// <param name="Count">How many.</param>
internal readonly record struct HostRange(long Offset, long Count);
