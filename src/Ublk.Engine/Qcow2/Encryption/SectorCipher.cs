using System.Buffers.Binary;

namespace Ublk.Qcow2.Encryption;

/// <summary>Encrypts whole sectors, each by its number. For one thread at a time; nothing allocates once it is made.</summary>
internal abstract class SectorCipher : IDisposable
{
    /// <summary>Bytes of a sector.</summary>
    public const int SectorSize = 512;

    /// <summary>Bytes of a block of AES.</summary>
    public const int BlockSize = 16;

    /// <summary>Encrypts whole sectors where they are, the first of which has this number.</summary>
    public abstract void Encrypt(Span<byte> data, long sector);

    /// <summary>Decrypts whole sectors where they are, the first of which has this number.</summary>
    public abstract void Decrypt(Span<byte> data, long sector);

    /// <summary>Forgets the key.</summary>
    public abstract void Dispose();
}

/// <summary>Makes a block of a sector's number, so that equal sectors differ once they are encrypted (dm-crypt's IV generators).</summary>
/// <param name="isShort">Whether only the lower 32 bits count (plain), or all 64 (plain64).</param>
/// <param name="hidden">Encrypts the initialization vector (ESSIV); null for none.</param>
internal sealed class SectorNumbers(bool isShort, AesBlocks? hidden) : IDisposable
{
    /// <summary>Writes a sector's block.</summary>
    /// <param name="sector">The sector's number.</param>
    /// <param name="room">Where.</param>
    /// <param name="start">At which byte.</param>
    public void Write(long sector, byte[] room, int start)
    {
        BinaryPrimitives.WriteInt64LittleEndian(room.AsSpan(start), isShort ? (uint)sector : sector);
        BinaryPrimitives.WriteInt64LittleEndian(room.AsSpan(start + 8), 0);
        hidden?.Encrypt(room, start, SectorCipher.BlockSize);
    }

    /// <inheritdoc/>
    public void Dispose() => hidden?.Dispose();
}
