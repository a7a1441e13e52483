using System.Security.Cryptography;

namespace Ublk.Qcow2.Encryption;

/// <summary>
/// AES on independent blocks (ECB), from which the modes for sectors are made: the framework has no mode that takes a sector number.
/// </summary>
internal sealed class AesBlocks : IDisposable
{
    private readonly ICryptoTransform _encryptor;
    private readonly ICryptoTransform _decryptor;

    /// <summary>Prepares a key.</summary>
    /// <param name="key">16, 24 or 32 bytes.</param>
    public AesBlocks(byte[] key)
    {
        using Aes aes = Aes.Create();
#pragma warning disable CA5358 // What is encrypted by it is made different for each block before.
        aes.Mode = CipherMode.ECB;
#pragma warning restore CA5358
        aes.Padding = PaddingMode.None;
        _encryptor = aes.CreateEncryptor(key, null);
        _decryptor = aes.CreateDecryptor(key, null);
    }

    /// <summary>Encrypts whole blocks in place: this many bytes from the start.</summary>
    public void Encrypt(byte[] blocks, int start, int length) => _encryptor.TransformBlock(blocks, start, length, blocks, start);

    /// <summary>Decrypts whole blocks in place: this many bytes from the start.</summary>
    public void Decrypt(byte[] blocks, int start, int length) => _decryptor.TransformBlock(blocks, start, length, blocks, start);

    /// <inheritdoc/>
    public void Dispose()
    {
        _encryptor.Dispose();
        _decryptor.Dispose();
    }
}
