using System.Security.Cryptography;

namespace Ublk.Qcow2.Encryption;

/// <summary>Encrypts a disk's data, on any thread.</summary>
/// <param name="suite">How data is encrypted.</param>
/// <param name="key">The key; goes with this.</param>
/// <param name="goesByDisk">
/// Whether a sector's number is that on the disk, as with the legacy AES, or that in the file, as with LUKS.
/// </param>
internal sealed class DiskCipher(CipherSuite suite, byte[] key, bool goesByDisk) : IDisposable
{
    private readonly ThreadLocal<SectorCipher> _ciphers = new(() => suite.Prepare(key), trackAllValues: true);

    /// <summary>Encrypts whole sectors where they are.</summary>
    /// <param name="data">The sectors.</param>
    /// <param name="place">The first byte in the file.</param>
    /// <param name="offset">The first byte on the disk.</param>
    public void Encrypt(Span<byte> data, long place, long offset) => _ciphers.Value!.Encrypt(data, SectorOf(place, offset));

    /// <summary>Decrypts what <see cref="Encrypt"/> encrypted.</summary>
    public void Decrypt(Span<byte> data, long place, long offset) => _ciphers.Value!.Decrypt(data, SectorOf(place, offset));

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (SectorCipher cipher in _ciphers.Values)
        {
            cipher.Dispose();
        }

        _ciphers.Dispose();
        CryptographicOperations.ZeroMemory(key);
    }

    private long SectorOf(long place, long offset) => (goesByDisk ? offset : place) / SectorCipher.SectorSize;
}
