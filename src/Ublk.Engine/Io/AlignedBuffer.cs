using System.Runtime.InteropServices;

namespace Ublk.Io;

/// <summary>Native memory, aligned for direct I/O.</summary>
internal sealed unsafe class AlignedBuffer : IDisposable
{
    private const int Alignment = 4096;

    private void* _address;

    /// <summary>Takes memory; its content is undefined.</summary>
    /// <param name="length">Bytes.</param>
    public AlignedBuffer(int length)
    {
        _address = NativeMemory.AlignedAlloc((nuint)length, Alignment);
        Length = length;
    }

    ~AlignedBuffer() => NativeMemory.AlignedFree(_address);

    /// <summary>Bytes.</summary>
    public int Length { get; }

    /// <summary>The next free one while this is free.</summary>
    public AlignedBuffer? NextFree { get; set; }

    /// <summary>The first byte.</summary>
    public nint Address => (nint)_address;

    /// <summary>All of it.</summary>
    public Span<byte> Span => new(_address, Length);

    /// <summary>A part of it, for I/O.</summary>
    public IoBuffer Part(int start, int length) => new IoBuffer((nint)_address, Length).Slice(start, length);

    /// <inheritdoc/>
    public void Dispose()
    {
        NativeMemory.AlignedFree(_address);
        _address = null;
        GC.SuppressFinalize(this);
    }
}
