namespace Ublk.Io;

/// <summary>A buffer of a pool, which gets it back when this is disposed.</summary>
/// <param name="pool">The pool.</param>
/// <param name="buffer">The buffer.</param>
internal readonly struct RentedBuffer(BufferPool pool, AlignedBuffer buffer) : IDisposable
{
    /// <summary>Bytes.</summary>
    public int Length => buffer.Length;

    /// <summary>All of it.</summary>
    public Span<byte> Span => buffer.Span;

    /// <summary>A part of it, for I/O.</summary>
    public IoBuffer Part(int start, int length) => buffer.Part(start, length);

    /// <inheritdoc/>
    public void Dispose() => pool.Return(buffer);
}
