using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Ublk.Qcow2.Format;

/// <summary>Reference counts of 1 to 64 bits in a block. Those narrower than a byte lie from its least significant bit on.</summary>
/// <remarks>The order is the binary logarithm of a count's width in bits, 0 to 6.</remarks>
internal static class RefcountBlock
{
    /// <summary>Reads a count.</summary>
    public static ulong Get(ReadOnlySpan<byte> block, int order, int index) => order switch
    {
        3 => block[index],
        4 => BinaryPrimitives.ReadUInt16BigEndian(block[(index << 1)..]),
        5 => BinaryPrimitives.ReadUInt32BigEndian(block[(index << 2)..]),
        6 => BinaryPrimitives.ReadUInt64BigEndian(block[(index << 3)..]),
        _ => (ulong)(block[index << order >> 3] >> ((index << order) & 7)) & MaskOf(order),
    };

    /// <summary>Writes a count; one that is too large for the width is the caller's mistake.</summary>
    public static void Set(Span<byte> block, int order, int index, ulong count)
    {
        switch (order)
        {
            case 3:
                block[index] = (byte)count;
                break;
            case 4:
                BinaryPrimitives.WriteUInt16BigEndian(block[(index << 1)..], (ushort)count);
                break;
            case 5:
                BinaryPrimitives.WriteUInt32BigEndian(block[(index << 2)..], (uint)count);
                break;
            case 6:
                BinaryPrimitives.WriteUInt64BigEndian(block[(index << 3)..], count);
                break;
            default:
                int bit = index << order;
                int shift = bit & 7;
                int mask = (int)MaskOf(order) << shift;
                block[bit >> 3] = (byte)((block[bit >> 3] & ~mask) | (((int)count << shift) & mask));
                break;
        }
    }

    /// <summary>Finds the first count of 0 from one on and before another, which is the result if there is none.</summary>
    public static int FindZero(ReadOnlySpan<byte> block, int order, int start, int end)
    {
        while (order < 3 && start < end && Get(block, order, start) != 0)
        {
            start++;
        }

        // Zero is zero in any byte order.
        int found = order switch
        {
            3 => block[start..end].IndexOf((byte)0),
            4 => MemoryMarshal.Cast<byte, ushort>(block)[start..end].IndexOf((ushort)0),
            5 => MemoryMarshal.Cast<byte, uint>(block)[start..end].IndexOf(0u),
            6 => MemoryMarshal.Cast<byte, ulong>(block)[start..end].IndexOf(0ul),
            _ => 0,
        };
        return found < 0 ? end : start + found;
    }

    private static ulong MaskOf(int order) => (1UL << (1 << order)) - 1;
}
