using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Ublk.Files;
using Ublk.Qcow2.Format;

namespace Ublk.Qcow2.Encryption;

/// <summary>The header of LUKS, version 1: how the data is encrypted, and the places where its key is kept for each passphrase.</summary>
/// <remarks>LUKS On-Disk Format Specification 1.2.3, section 3.</remarks>
internal sealed record LuksHeader
{
    /// <summary>Bytes of the header, without key material.</summary>
    public const int Length = 592;

    /// <summary>Parts that a stored key is split into.</summary>
    public const int Stripes = 4000;

    /// <summary>The first byte of the key slots in the header.</summary>
    public const int SlotsOffset = 208;

    /// <summary>Bytes of a key slot.</summary>
    public const int SlotLength = 48;

    /// <summary>Key slots of a header.</summary>
    public const int SlotCount = 8;

    /// <summary>The mark of a slot that keeps the key.</summary>
    public const uint ActiveSlot = 0x00AC71F3;

    /// <summary>The mark of a slot that does not.</summary>
    public const uint FreeSlot = 0x0000DEAD;

    // Half a minute of a slow processor; a forged header would keep it for hours.
    private const int MaxIterations = 100_000_000;
    private const int MaxKeyLength = 64;

    /// <summary>The first bytes of a header.</summary>
    public static ReadOnlySpan<byte> Magic => [0x4C, 0x55, 0x4B, 0x53, 0xBA, 0xBE];

    /// <summary>How the data and the stored keys are encrypted.</summary>
    public required CipherSuite Suite { get; init; }

    /// <summary>The hash for deriving keys.</summary>
    public required HashAlgorithmName Hash { get; init; }

    /// <summary>Bytes of the data's key.</summary>
    public required int KeyLength { get; init; }

    /// <summary>What is derived from the right key, to know it by.</summary>
    public required byte[] KeyDigest { get; init; }

    /// <summary>The salt for that.</summary>
    public required byte[] KeyDigestSalt { get; init; }

    /// <summary>The iterations for that.</summary>
    public required int KeyDigestIterations { get; init; }

    /// <summary>The places where the key is kept.</summary>
    public required IReadOnlyList<LuksKeySlot> Slots { get; init; }

    /// <summary>Reads a header.</summary>
    /// <param name="bytes">Its 592 bytes.</param>
    /// <param name="area">Bytes there are for it and the key material.</param>
    /// <param name="path">The image, for errors.</param>
    /// <exception cref="UblkException">It is malformed, or names a cipher or hash that is unknown here.</exception>
    public static LuksHeader Parse(ReadOnlySpan<byte> bytes, long area, string path)
    {
        ImageError.ThrowIf(area < Length || bytes.Length < Length || !bytes.StartsWith(Magic), path,
            "it has no LUKS header where one must be");
        int version = BinaryPrimitives.ReadUInt16BigEndian(bytes[6..]);
        CipherSuite suite = new(TextOf(bytes.Slice(8, 32)), TextOf(bytes.Slice(40, 32)));
        string hash = TextOf(bytes.Slice(72, 32));
        uint keyLength = BinaryPrimitives.ReadUInt32BigEndian(bytes[108..]);
        if (version != 1 || keyLength > MaxKeyLength || !suite.IsKnown((int)keyLength))
        {
            throw ImageError.NotSupported(path,
                $"is encrypted with LUKS version {version}, {suite}, with a key of {keyLength} bytes. Known here are version 1, and aes "
                    + "with xts or cbc.");
        }

        return new LuksHeader
        {
            Suite = suite,
            Hash = hash switch
            {
                "sha1" => HashAlgorithmName.SHA1,
                "sha256" => HashAlgorithmName.SHA256,
                "sha384" => HashAlgorithmName.SHA384,
                "sha512" => HashAlgorithmName.SHA512,
                _ => throw ImageError.NotSupported(path, $"derives its keys with {hash}. Known here are sha1, sha256, sha384 and sha512."),
            },
            KeyLength = (int)keyLength,
            KeyDigest = bytes.Slice(112, 20).ToArray(),
            KeyDigestSalt = bytes.Slice(132, 32).ToArray(),
            KeyDigestIterations = IterationsOf(bytes[164..], path),
            Slots = [.. SlotsOf(bytes, (int)keyLength, area, path)],
        };
    }

    /// <summary>Tries a passphrase at each place where the key is kept.</summary>
    /// <param name="file">The image.</param>
    /// <param name="start">The header's first byte in it.</param>
    /// <param name="passphrase">The passphrase.</param>
    /// <returns>The key, or null where none is kept under this passphrase.</returns>
    /// <exception cref="UblkException">The file cannot be read.</exception>
    public byte[]? FindKey(ImageFile file, long start, ReadOnlySpan<byte> passphrase)
    {
        byte[] key = new byte[KeyLength];
        byte[] digest = new byte[KeyDigest.Length];
        foreach (LuksKeySlot slot in Slots)
        {
            Unlock(file, start + slot.Offset, slot, passphrase, key);
            Rfc2898DeriveBytes.Pbkdf2(key, KeyDigestSalt, digest, KeyDigestIterations, Hash);
            if (CryptographicOperations.FixedTimeEquals(digest, KeyDigest))
            {
                return key;
            }
        }

        return null;
    }

    // With a wrong passphrase the result is not the key; the digest shows that.
    private void Unlock(ImageFile file, long offset, LuksKeySlot slot, ReadOnlySpan<byte> passphrase, Span<byte> key)
    {
        Span<byte> slotKey = stackalloc byte[key.Length];
        Rfc2898DeriveBytes.Pbkdf2(passphrase, slot.Salt, slotKey, slot.Iterations, Hash);
        int length = key.Length * Stripes;
        int sectors = (length + SectorCipher.SectorSize - 1) / SectorCipher.SectorSize;
        byte[] parts = file.ReadBytes(offset, (long)sectors * SectorCipher.SectorSize);
        using (SectorCipher cipher = Suite.Prepare(slotKey))
        {
            cipher.Decrypt(parts, 0);
        }

        AntiForensicSplit.Merge(parts.AsSpan(0, length), Hash, key);
        CryptographicOperations.ZeroMemory(slotKey);
        CryptographicOperations.ZeroMemory(parts);
    }

    private static List<LuksKeySlot> SlotsOf(ReadOnlySpan<byte> bytes, int keyLength, long area, string path)
    {
        List<LuksKeySlot> slots = [];
        for (int number = 0; number < SlotCount; number++)
        {
            ReadOnlySpan<byte> slot = bytes.Slice(SlotsOffset + (number * SlotLength), SlotLength);
            if (BinaryPrimitives.ReadUInt32BigEndian(slot) != ActiveSlot)
            {
                continue;
            }

            long offset = BinaryPrimitives.ReadUInt32BigEndian(slot[40..]) * (long)SectorCipher.SectorSize;
            uint stripes = BinaryPrimitives.ReadUInt32BigEndian(slot[44..]);
            ImageError.ThrowIf(stripes != Stripes || offset < Length || offset + (keyLength * (long)Stripes) > area, path,
                $"the key slot {number} of its LUKS header has an invalid position of its key");
            slots.Add(new LuksKeySlot(IterationsOf(slot[4..], path), slot.Slice(8, 32).ToArray(), offset));
        }

        return slots;
    }

    private static int IterationsOf(ReadOnlySpan<byte> field, string path)
    {
        uint iterations = BinaryPrimitives.ReadUInt32BigEndian(field);
        return iterations is > 0 and <= MaxIterations
            ? (int)iterations
            : throw ImageError.Invalid(path, $"its LUKS header wants keys derived in {iterations} iterations");
    }

    private static string TextOf(ReadOnlySpan<byte> field) =>
        Encoding.ASCII.GetString(field[..(field.IndexOf((byte)0) is >= 0 and var end ? end : field.Length)]);
}

/// <summary>A place where the key is kept, encrypted with what is derived from a passphrase.</summary>
/// <param name="Iterations">The iterations for deriving.</param>
/// <param name="Salt">The salt for deriving.</param>
/// <param name="Offset">The key material's first byte, from the header's on.</param>
internal sealed record LuksKeySlot(int Iterations, byte[] Salt, long Offset);
