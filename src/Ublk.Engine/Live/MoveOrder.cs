namespace Ublk.Live;

/// <summary>What a move copies.</summary>
/// <param name="Size">The size of the disk in bytes; the other place may be larger.</param>
/// <param name="IsBlank">Whether the other place reads as zeroes, so that zeroes need not be copied.</param>
/// <param name="IsMirror">Whether the disk stays in both places afterwards.</param>
internal sealed record MoveOrder(long Size, bool IsBlank, bool IsMirror = false);
