namespace Ublk.Io;

/// <summary>What holds a request's data, or a part of it: native memory, or pages of the disk's client that only files can reach.</summary>
public readonly unsafe struct IoBuffer
{
    // One more than the slot, so that the default is memory.
    private readonly int _slotMark;

    /// <summary>Wraps memory that outlives the request.</summary>
    /// <param name="address">Its first byte.</param>
    /// <param name="length">Its length in bytes.</param>
    public IoBuffer(nint address, int length)
    {
        Address = address;
        Length = length;
    }

    private IoBuffer(nint start, int length, int slotMark)
        : this(start, length) => _slotMark = slotMark;

    /// <summary>Whether it is memory of this process, so that <see cref="Span"/> shows it.</summary>
    public bool IsMemory => _slotMark == 0;

    /// <summary>The address of the first byte; for data outside this process's memory, its offset in the request, in bytes.</summary>
    public nint Address { get; }

    /// <summary>Bytes in the buffer.</summary>
    public int Length { get; }

    /// <summary>The bytes; not to be kept beyond the request.</summary>
    /// <exception cref="InvalidOperationException">They are not in this process's memory.</exception>
    public Span<byte> Span => IsMemory
        ? new Span<byte>((void*)Address, Length)
        : throw new InvalidOperationException("The data is not in memory: a target that accesses it must not set ForwardsData.");

    /// <summary>Its place in the ring's table of buffers; -1 for memory.</summary>
    internal int Slot => _slotMark - 1;

    /// <summary>A request's data by its place in the ring's table of buffers.</summary>
    /// <param name="slot">The place.</param>
    /// <param name="length">Bytes of the data.</param>
    /// <param name="start">Where it starts: 0 for a client's pages, its address for memory that is registered.</param>
    internal static IoBuffer InSlot(int slot, int length, nint start = 0) => new(start, length, slot + 1);

    /// <summary>The part from a byte on.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The start is outside the buffer.</exception>
    public IoBuffer Slice(int start) => Slice(start, Length - start);

    /// <summary>A part of the buffer.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The part is not inside the buffer.</exception>
    public IoBuffer Slice(int start, int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)start, (uint)Length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)length, (uint)(Length - start));
        return new IoBuffer(Address + start, length, _slotMark);
    }
}
