namespace Ublk.Qcow2.Encryption;

/// <summary>Encrypts whole sectors, each by its number. For one thread at a time; nothing allocates once it is made.</summary>
internal abstract class SectorCipher : IDisposable
{
    /// <summary>Bytes of a sector.</summary>
    public const int SectorSize = 512;

    /// <summary>Bytes of a block of AES.</summary>
    public const int BlockSize = 16;

    /// <summary>Encrypts sectors where they are.</summary>
    /// <param name="data">Whole sectors.</param>
    /// <param name="sector">The first one's number.</param>
    public abstract void Encrypt(Span<byte> data, long sector);

    /// <summary>Decrypts sectors where they are.</summary>
    /// <param name="data">Whole sectors.</param>
    /// <param name="sector">The first one's number.</param>
    public abstract void Decrypt(Span<byte> data, long sector);

    /// <summary>Forgets the key.</summary>
    public abstract void Dispose();
}
