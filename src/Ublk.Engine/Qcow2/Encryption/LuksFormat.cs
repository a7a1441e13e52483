using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Ublk.Qcow2.Encryption;

/// <summary>Makes the LUKS header of a new image, with a random key that one passphrase unlocks.</summary>
/// <remarks>
/// LUKS On-Disk Format Specification 1.2.3, section 4.1. As with qemu, the data is encrypted with aes-256 and xts-plain64.
/// </remarks>
internal static class LuksFormat
{
    // Two keys of AES-256, as XTS needs them.
    private const int KeyLength = 64;
    private const int SaltLength = 32;
    private const int DigestLength = 20;

    // OWASP's recommendation for PBKDF2 with SHA-256 (2023). The digest only identifies the key, which is random.
    private const int Iterations = 600_000;
    private const int DigestIterations = 100_000;

    // Key material begins at multiples of 4 KiB, behind the header's.
    private const int FirstSlotSector = 8;
    private const int SlotSectors = ((KeyLength * LuksHeader.Stripes / SectorCipher.SectorSize) + 7) & ~7;
    private const int PayloadSector = FirstSlotSector + (LuksHeader.SlotCount * SlotSectors);

    /// <summary>Bytes of the header and the key material of all slots.</summary>
    public const int Length = PayloadSector * SectorCipher.SectorSize;

    /// <summary>Makes a header and its key material.</summary>
    /// <param name="passphrase">The passphrase.</param>
    /// <exception cref="UblkException">This machine has no library for cryptography.</exception>
    public static byte[] Make(ReadOnlySpan<byte> passphrase)
    {
        byte[] area = new byte[Length];
        byte[] key = RandomNumberGenerator.GetBytes(KeyLength);
        byte[] salt = RandomNumberGenerator.GetBytes(SaltLength);
        try
        {
            WriteHeader(area, key);
            byte[] material = Lock(key, passphrase, salt);
            material.CopyTo(area, FirstSlotSector * SectorCipher.SectorSize);
            WriteSlots(area.AsSpan(LuksHeader.SlotsOffset), salt);
            return area;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
        }
    }

    private static void WriteHeader(Span<byte> area, ReadOnlySpan<byte> key)
    {
        byte[] salt = RandomNumberGenerator.GetBytes(SaltLength);
        LuksHeader.Magic.CopyTo(area);
        BinaryPrimitives.WriteUInt16BigEndian(area[6..], 1);
        Encoding.ASCII.GetBytes("aes", area[8..]);
        Encoding.ASCII.GetBytes("xts-plain64", area[40..]);
        Encoding.ASCII.GetBytes("sha256", area[72..]);
        BinaryPrimitives.WriteUInt32BigEndian(area[104..], PayloadSector);
        BinaryPrimitives.WriteUInt32BigEndian(area[108..], KeyLength);
        Rfc2898DeriveBytes.Pbkdf2(key, salt, area.Slice(112, DigestLength), DigestIterations, HashAlgorithmName.SHA256);
        salt.CopyTo(area[132..]);
        BinaryPrimitives.WriteUInt32BigEndian(area[164..], DigestIterations);
        Encoding.ASCII.GetBytes(Guid.NewGuid().ToString(), area[168..]);
    }

    private static byte[] Lock(ReadOnlySpan<byte> key, ReadOnlySpan<byte> passphrase, ReadOnlySpan<byte> salt)
    {
        Span<byte> slotKey = stackalloc byte[KeyLength];
        Rfc2898DeriveBytes.Pbkdf2(passphrase, salt, slotKey, Iterations, HashAlgorithmName.SHA256);
        byte[] parts = new byte[KeyLength * LuksHeader.Stripes];
        AntiForensicSplit.Split(key, HashAlgorithmName.SHA256, parts);
        using SectorCipher cipher = new CipherSuite("aes", "xts-plain64").Prepare(slotKey);
        cipher.Encrypt(parts, 0);
        CryptographicOperations.ZeroMemory(slotKey);
        return parts;
    }

    // The first one is used, the others are free.
    private static void WriteSlots(Span<byte> slots, ReadOnlySpan<byte> salt)
    {
        for (int number = 0; number < LuksHeader.SlotCount; number++, slots = slots[LuksHeader.SlotLength..])
        {
            BinaryPrimitives.WriteUInt32BigEndian(slots, number == 0 ? LuksHeader.ActiveSlot : LuksHeader.FreeSlot);
            BinaryPrimitives.WriteUInt32BigEndian(slots[4..], number == 0 ? Iterations : 0u);
            if (number == 0)
            {
                salt.CopyTo(slots[8..]);
            }

            BinaryPrimitives.WriteUInt32BigEndian(slots[40..], (uint)(FirstSlotSector + (number * SlotSectors)));
            BinaryPrimitives.WriteUInt32BigEndian(slots[44..], LuksHeader.Stripes);
        }
    }
}
