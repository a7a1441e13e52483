using System.Numerics;
using System.Runtime.InteropServices;

namespace Ublk.Qcow2.Encryption;

/// <summary>What ciphers do between their blocks.</summary>
internal static class Xor
{
    /// <summary>Combines bytes.</summary>
    /// <param name="left">Some bytes.</param>
    /// <param name="right">At least as many.</param>
    /// <param name="result">Gets as many as the first; may be one of the two.</param>
    public static void Combine(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right, Span<byte> result)
    {
        ReadOnlySpan<Vector<byte>> lefts = MemoryMarshal.Cast<byte, Vector<byte>>(left);
        ReadOnlySpan<Vector<byte>> rights = MemoryMarshal.Cast<byte, Vector<byte>>(right);
        Span<Vector<byte>> results = MemoryMarshal.Cast<byte, Vector<byte>>(result);
        for (int place = 0; place < lefts.Length; place++)
        {
            results[place] = lefts[place] ^ rights[place];
        }

        for (int place = lefts.Length * Vector<byte>.Count; place < left.Length; place++)
        {
            result[place] = (byte)(left[place] ^ right[place]);
        }
    }
}
