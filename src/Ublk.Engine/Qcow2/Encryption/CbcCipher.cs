using System.Security.Cryptography;

namespace Ublk.Qcow2.Encryption;

/// <summary>AES-CBC, anew in each sector, which begins with the block of its number.</summary>
internal sealed class CbcCipher : SectorCipher
{
    private readonly AesBlocks _aes;
    private readonly SectorNumbers _numbers;
    private readonly byte[] _blocks = new byte[SectorSize];
    private readonly byte[] _before = new byte[BlockSize];

    /// <summary>Prepares a key.</summary>
    /// <param name="key">16, 24 or 32 bytes.</param>
    /// <param name="numbers">Makes blocks of sectors' numbers; goes with this.</param>
    public CbcCipher(ReadOnlySpan<byte> key, SectorNumbers numbers)
    {
        _aes = new AesBlocks(key.ToArray());
        _numbers = numbers;
    }

    /// <inheritdoc/>
    public override void Encrypt(Span<byte> data, long sector)
    {
        for (; data.Length > 0; data = data[SectorSize..], sector++)
        {
            _numbers.Write(sector, _before, 0);
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
            _numbers.Write(sector, _before, 0);
            Xor.Combine(_blocks.AsSpan(0, BlockSize), _before, _blocks);
            Xor.Combine(_blocks.AsSpan(BlockSize), encrypted[..^BlockSize], _blocks.AsSpan(BlockSize));
            _blocks.CopyTo(encrypted);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _aes.Dispose();
        _numbers.Dispose();
        CryptographicOperations.ZeroMemory(_blocks);
        CryptographicOperations.ZeroMemory(_before);
    }
}
