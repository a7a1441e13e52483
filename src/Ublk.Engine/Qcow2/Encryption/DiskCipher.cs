using System.Security.Cryptography;

namespace Ublk.Qcow2.Encryption;

/// <summary>Encrypts a disk's data, on any thread.</summary>
/// <param name="suite">How data is encrypted.</param>
/// <param name="key">The key; owned by this object.</param>
/// <param name="goesByDisk">
/// Whether a sector's number is that on the disk, as with the legacy AES, or that in the file, as with LUKS.
/// </param>
internal sealed class DiskCipher(CipherSuite suite, byte[] key, bool goesByDisk) : IDisposable
{
    // A cipher serves one thread at a time, and threads come and go. Slots instead of a collection, so that no thread waits for a lock.
    // More than these at once are made anew.
    private readonly SectorCipher?[] _idle = new SectorCipher?[64];

    /// <summary>Encrypts whole sectors where they are.</summary>
    /// <param name="data">The sectors.</param>
    /// <param name="place">The first byte in the file.</param>
    /// <param name="offset">The first byte on the disk.</param>
    public void Encrypt(Span<byte> data, long place, long offset)
    {
        SectorCipher cipher = Take();
        try
        {
            cipher.Encrypt(data, SectorOf(place, offset));
        }
        finally
        {
            Return(cipher);
        }
    }

    /// <summary>Decrypts what <see cref="Encrypt"/> encrypted.</summary>
    public void Decrypt(Span<byte> data, long place, long offset)
    {
        SectorCipher cipher = Take();
        try
        {
            cipher.Decrypt(data, SectorOf(place, offset));
        }
        finally
        {
            Return(cipher);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (SectorCipher? cipher in _idle)
        {
            cipher?.Dispose();
        }

        Array.Clear(_idle);
        CryptographicOperations.ZeroMemory(key);
    }

    private SectorCipher Take()
    {
        foreach (ref SectorCipher? slot in _idle.AsSpan())
        {
            if (Interlocked.Exchange(ref slot, null) is { } cipher)
            {
                return cipher;
            }
        }

        return suite.Prepare(key);
    }

    private void Return(SectorCipher cipher)
    {
        foreach (ref SectorCipher? slot in _idle.AsSpan())
        {
            if (Interlocked.CompareExchange(ref slot, cipher, null) is null)
            {
                return;
            }
        }

        cipher.Dispose();
    }

    private long SectorOf(long place, long offset) => (goesByDisk ? offset : place) / SectorCipher.SectorSize;
}
