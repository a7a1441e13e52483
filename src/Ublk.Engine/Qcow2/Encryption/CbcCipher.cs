using System.Security.Cryptography;

namespace Ublk.Qcow2.Encryption;

/// <summary>AES-CBC, anew in each sector, which begins with the block of its number.</summary>
/// <param name="key">16, 24 or 32 bytes.</param>
/// <param name="numbers">Makes blocks of sectors' numbers; owned by this object.</param>
internal sealed class CbcCipher(ReadOnlySpan<byte> key, SectorNumbers numbers) : SectorCipher
{
    private readonly AesBlocks _aes = new(key.ToArray());
    private readonly byte[] _blocks = new byte[SectorSize];
    private readonly byte[] _before = new byte[BlockSize];

    /// <inheritdoc/>
    public override void Encrypt(Span<byte> data, long sector)
    {
        for (; data.Length > 0; data = data[SectorSize..], sector++)
        {
            numbers.Write(sector, _before, 0);
            for (int start = 0; start < SectorSize; start += BlockSize)
            {
                Span<byte> block = data.Slice(start, BlockSize);
                Xor.Combine(block, _before, _before);
                _aes.Encrypt(_before, 0, BlockSize);
                _before.CopyTo(block);
            }
        }
    }

    /// <inheritdoc/>
    public override void Decrypt(Span<byte> data, long sector)
    {
        for (; data.Length > 0; data = data[SectorSize..], sector++)
        {
            Span<byte> encrypted = data[..SectorSize];
            encrypted.CopyTo(_blocks);
            _aes.Decrypt(_blocks, 0, SectorSize);
            numbers.Write(sector, _before, 0);
            Xor.Combine(_blocks.AsSpan(0, BlockSize), _before, _blocks);
            Xor.Combine(_blocks.AsSpan(BlockSize), encrypted[..^BlockSize], _blocks.AsSpan(BlockSize));
            _blocks.CopyTo(encrypted);
        }
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _aes.Dispose();
        numbers.Dispose();
        CryptographicOperations.ZeroMemory(_blocks);
        CryptographicOperations.ZeroMemory(_before);
    }
}
