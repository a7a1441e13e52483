namespace Ublk.Io;

/// <summary>Buffers of one size, shared by all queues. It keeps a few and lets go of the rest.</summary>
/// <param name="bufferLength">Bytes of each.</param>
/// <param name="kept">The most idle buffers to keep.</param>
internal sealed class BufferPool(int bufferLength, int kept) : IDisposable
{
    private readonly Lock _lock = new();
    private AlignedBuffer? _free;
    private int _freeCount;

    /// <summary>Bytes of each buffer.</summary>
    public int BufferLength => bufferLength;

    /// <summary>Takes a buffer with any content, until the returned value is disposed.</summary>
    public RentedBuffer Lend() => new(this, Rent());

    /// <summary>Takes a buffer with any content.</summary>
    public AlignedBuffer Rent()
    {
        lock (_lock)
        {
            if (_free is { } buffer)
            {
                _free = buffer.NextFree;
                _freeCount--;
                buffer.NextFree = null;
                return buffer;
            }
        }

        return new AlignedBuffer(bufferLength);
    }

    /// <summary>Gives a buffer back.</summary>
    public void Return(AlignedBuffer buffer)
    {
        lock (_lock)
        {
            if (_freeCount < kept)
            {
                buffer.NextFree = _free;
                _free = buffer;
                _freeCount++;
                return;
            }
        }

        buffer.Dispose();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        for (; _free is { } buffer; _free = buffer.NextFree)
        {
            buffer.Dispose();
        }
    }
}
