using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Ublk.Qcow2.Encryption;

/// <summary>
/// XTS-AES (IEEE 1619): each block of a sector is masked, by the sector's number and the block's place, before and after AES.
/// </summary>
/// <param name="key">The key for the data, and one as long for the sectors' numbers.</param>
/// <param name="numbers">Makes blocks of sectors' numbers; owned by this object.</param>
internal sealed class XtsCipher(ReadOnlySpan<byte> key, SectorNumbers numbers) : SectorCipher
{
    private const int Batch = 32 << 10;

    private readonly AesBlocks _data = new(key[..(key.Length / 2)].ToArray());
    private readonly AesBlocks _numbersKey = new(key[(key.Length / 2)..].ToArray());
    private readonly byte[] _masks = new byte[Batch];
    private readonly byte[] _blocks = new byte[Batch];

    /// <inheritdoc/>
    public override void Encrypt(Span<byte> data, long sector) => Transform(data, sector, isEncryption: true);

    /// <inheritdoc/>
    public override void Decrypt(Span<byte> data, long sector) => Transform(data, sector, isEncryption: false);

    /// <inheritdoc/>
    public override void Dispose()
    {
        _data.Dispose();
        _numbersKey.Dispose();
        numbers.Dispose();
        CryptographicOperations.ZeroMemory(_blocks);
    }

    private void Transform(Span<byte> data, long sector, bool isEncryption)
    {
        while (data.Length > 0)
        {
            Span<byte> part = data[..int.Min(data.Length, Batch)];
            MakeMasks(sector, part.Length / SectorSize);
            Xor.Combine(part, _masks, _blocks);
            if (isEncryption)
            {
                _data.Encrypt(_blocks, 0, part.Length);
            }
            else
            {
                _data.Decrypt(_blocks, 0, part.Length);
            }

            Xor.Combine(_blocks.AsSpan(0, part.Length), _masks, part);
            data = data[part.Length..];
            sector += part.Length / SectorSize;
        }
    }

    private void MakeMasks(long sector, int count)
    {
        for (int number = 0; number < count; number++)
        {
            numbers.Write(sector + number, _blocks, number * BlockSize);
        }

        _numbersKey.Encrypt(_blocks, 0, count * BlockSize);
        for (int number = 0; number < count; number++)
        {
            UInt128 mask = BinaryPrimitives.ReadUInt128LittleEndian(_blocks.AsSpan(number * BlockSize));
            for (int place = 0; place < SectorSize; place += BlockSize)
            {
                BinaryPrimitives.WriteUInt128LittleEndian(_masks.AsSpan((number * SectorSize) + place), mask);

                // Times x in the field of 2^128 elements, x^128 being x^7 + x^2 + x + 1.
                mask = (mask << 1) ^ ((mask >> 127) * 0x87);
            }
        }
    }
}
