namespace Ublk.Serving;

/// <summary>Native memory that holds a request's data, or a part of it.</summary>
public readonly unsafe struct IoBuffer
{
    /// <summary>Wraps memory that outlives the request.</summary>
    /// <param name="address">Its first byte.</param>
    /// <param name="length">Its length in bytes.</param>
    public IoBuffer(nint address, int length)
    {
        Address = address;
        Length = length;
    }

    /// <summary>The first byte's address.</summary>
    public nint Address { get; }

    /// <summary>Bytes in the buffer.</summary>
    public int Length { get; }

    /// <summary>The bytes; not to be kept beyond the request.</summary>
    public Span<byte> Span => new((void*)Address, Length);

    /// <summary>The part from a byte on.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The start is outside the buffer.</exception>
    public IoBuffer Slice(int start) => Slice(start, Length - start);

    /// <summary>A part of the buffer.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The part is not inside the buffer.</exception>
    public IoBuffer Slice(int start, int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)start, (uint)Length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)length, (uint)(Length - start));
        return new IoBuffer(Address + start, length);
    }
}
