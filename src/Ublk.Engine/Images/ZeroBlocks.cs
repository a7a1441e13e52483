namespace Ublk.Images;

/// <summary>Blocks of nothing but zeroes in what is copied, which take no space in the copy.</summary>
internal static class ZeroBlocks
{
    // The block of most file systems.
    private const int Block = 4096;

    /// <summary>How many bytes at the beginning are such blocks.</summary>
    public static int CountZeroes(ReadOnlySpan<byte> data)
    {
        int first = data.IndexOfAnyExcept((byte)0);
        return first < 0 ? data.Length : first / Block * Block;
    }

    /// <summary>How many bytes there are up to the next of these blocks.</summary>
    public static int CountData(ReadOnlySpan<byte> data)
    {
        int length = 0;
        while (length < data.Length
            && data.Slice(length, int.Min(Block, data.Length - length)).ContainsAnyExcept((byte)0))
        {
            length += int.Min(Block, data.Length - length);
        }

        return length;
    }
}
