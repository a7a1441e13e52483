using Ublk.Files;
using Ublk.Io;
using Ublk.Qcow2.Encryption;

namespace Ublk.Qcow2.State;

/// <summary>The disk's data where it is in a file, in the clear or encrypted. Results are 0 or a negative errno.</summary>
/// <param name="file">The file; goes with its image.</param>
/// <param name="cipher">What encrypts the data, or null; owned by this object.</param>
internal sealed class DiskData(ImageFile file, DiskCipher? cipher) : IDisposable
{
    // Enough for a write of each tag of a deep queue.
    private const int BufferLength = 64 << 10;
    private const int KeptBuffers = 128;

    private readonly BufferPool? _encrypted = cipher is null ? null : new BufferPool(BufferLength, KeptBuffers);

    /// <summary>Whether it is encrypted, so that a hole of the file does not read as zeroes.</summary>
    public bool IsEncrypted => cipher is not null;

    /// <summary>Fills a buffer with data that begins at a place in the file and at an offset of the disk.</summary>
    public IoTask<int> ReadAsync(IoBuffer buffer, long place, long offset) => cipher is null
        ? file.ReadAsync(buffer, place)
        : DecryptAsync(cipher, buffer, place, offset);

    /// <summary>Writes a buffer whole, and leaves it as it is.</summary>
    /// <param name="buffer">The data.</param>
    /// <param name="place">Its first byte in the file.</param>
    /// <param name="offset">Its first byte on the disk.</param>
    /// <param name="durable">Whether it must be durable when the write completes.</param>
    public IoTask<int> WriteAsync(IoBuffer buffer, long place, long offset, bool durable = false) => cipher is null
        ? file.WriteAsync(buffer, place, durable)
        : EncryptAsync(cipher, _encrypted!, buffer, place, offset, durable);

    /// <inheritdoc/>
    public void Dispose()
    {
        cipher?.Dispose();
        _encrypted?.Dispose();
    }

    private async IoTask<int> DecryptAsync(DiskCipher key, IoBuffer buffer, long place, long offset)
    {
        int result = await file.ReadAsync(buffer, place);
        if (result == 0)
        {
            key.Decrypt(buffer.Span, place, offset);
        }

        return result;
    }

    private async IoTask<int> EncryptAsync(
        DiskCipher key, BufferPool buffers, IoBuffer buffer, long place, long offset, bool durable)
    {
        using RentedBuffer encrypted = buffers.Lend();
        int result = 0;
        while (buffer.Length > 0 && result == 0)
        {
            IoBuffer part = encrypted.Part(0, int.Min(buffer.Length, encrypted.Length));
            buffer.Span[..part.Length].CopyTo(part.Span);
            key.Encrypt(part.Span, place, offset);
            result = await file.WriteAsync(part, place, durable);
            buffer = buffer.Slice(part.Length);
            place += part.Length;
            offset += part.Length;
        }

        return result;
    }
}
