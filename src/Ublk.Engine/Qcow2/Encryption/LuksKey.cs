using System.Security.Cryptography;
using Ublk.Files;
using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.Encryption;

/// <summary>Finds the key of an image that is encrypted with LUKS.</summary>
internal static class LuksKey
{
    /// <summary>Tries a passphrase at each place where the key is kept.</summary>
    /// <param name="file">The image.</param>
    /// <param name="start">The LUKS header's first byte in it.</param>
    /// <param name="header">The header.</param>
    /// <param name="passphrase">The passphrase.</param>
    /// <returns>The key, or null where none is kept under this passphrase.</returns>
    /// <exception cref="UblkException">The file cannot be read.</exception>
    public static byte[]? Find(ImageFile file, long start, LuksHeader header, ReadOnlySpan<byte> passphrase)
    {
        byte[] key = new byte[header.KeyLength];
        byte[] digest = new byte[header.KeyDigest.Length];
        foreach (LuksKeySlot slot in header.Slots)
        {
            Unlock(file, start + slot.Offset, header, slot, passphrase, key);
            Rfc2898DeriveBytes.Pbkdf2(key, header.KeyDigestSalt, digest, header.KeyDigestIterations, header.Hash);
            if (CryptographicOperations.FixedTimeEquals(digest, header.KeyDigest))
            {
                return key;
            }
        }

        return null;
    }

    // What comes of a wrong passphrase is no key.
    private static void Unlock(ImageFile file, long offset, LuksHeader header, LuksKeySlot slot, ReadOnlySpan<byte> passphrase,
        Span<byte> key)
    {
        Span<byte> slotKey = stackalloc byte[key.Length];
        Rfc2898DeriveBytes.Pbkdf2(passphrase, slot.Salt, slotKey, slot.Iterations, header.Hash);
        int length = key.Length * LuksHeader.Stripes;
        int sectors = (length + SectorCipher.SectorSize - 1) / SectorCipher.SectorSize;
        byte[] parts = file.ReadBytes(offset, (long)sectors * SectorCipher.SectorSize);
        using (SectorCipher cipher = header.Suite.Prepare(slotKey))
        {
            cipher.Decrypt(parts, 0);
        }

        AntiForensicSplit.Merge(parts.AsSpan(0, length), header.Hash, key);
        CryptographicOperations.ZeroMemory(slotKey);
        CryptographicOperations.ZeroMemory(parts);
    }
}
