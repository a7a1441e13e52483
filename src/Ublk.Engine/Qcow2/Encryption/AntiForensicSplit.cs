using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Ublk.Qcow2.Encryption;

/// <summary>
/// A key split into many parts, which is lost with any of them, so that it can be destroyed on a medium that keeps remnants.
/// (LUKS On-Disk Format Specification 1.2.3, section 2.4.)
/// </summary>
internal static class AntiForensicSplit
{
    /// <summary>Puts a key together from its parts, one after the other, each as long as the key.</summary>
    public static void Merge(ReadOnlySpan<byte> parts, HashAlgorithmName hash, Span<byte> key)
    {
        key.Clear();
        for (; parts.Length > key.Length; parts = parts[key.Length..])
        {
            Xor.Combine(key, parts, key);
            Spread(hash, key);
        }

        Xor.Combine(key, parts, key);
    }

    /// <summary>Splits a key into as many parts as there is room for, each as long as the key.</summary>
    public static void Split(ReadOnlySpan<byte> key, HashAlgorithmName hash, Span<byte> parts)
    {
        Span<byte> last = parts[^key.Length..];
        RandomNumberGenerator.Fill(parts[..^key.Length]);
        last.Clear();
        for (Span<byte> rest = parts; rest.Length > key.Length; rest = rest[key.Length..])
        {
            Xor.Combine(last, rest[..key.Length], last);
            Spread(hash, last);
        }

        Xor.Combine(last, key, last);
    }

    // Each piece of the key becomes the hash of its number and itself.
    private static void Spread(HashAlgorithmName hash, Span<byte> key)
    {
        Span<byte> numbered = stackalloc byte[sizeof(int) + SHA512.HashSizeInBytes];
        Span<byte> digest = stackalloc byte[SHA512.HashSizeInBytes];
        int pieceLength = CryptographicOperations.HashData(hash, [], digest);
        for (int number = 0; key.Length > 0; number++)
        {
            Span<byte> piece = key[..int.Min(pieceLength, key.Length)];
            BinaryPrimitives.WriteInt32BigEndian(numbered, number);
            piece.CopyTo(numbered[sizeof(int)..]);
            CryptographicOperations.HashData(hash, numbered[..(sizeof(int) + piece.Length)], digest);
            digest[..piece.Length].CopyTo(piece);
            key = key[piece.Length..];
        }
    }
}
