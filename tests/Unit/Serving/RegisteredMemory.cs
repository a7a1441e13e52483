using System.Runtime.CompilerServices;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Rings;
using Ublk.Serving;

namespace Ublk.Tests.Serving;

/// <summary>
/// Requests' data as with zero copy, without a driver: memory in the ring's table of buffers, which a target only reaches by its place.
/// </summary>
internal sealed unsafe class RegisteredMemory : RequestBuffers
{
    // IORING_REGISTER_BUFFERS.
    private const uint RegisterBuffers = 0;

    private readonly BufferMemory _memory;
    private readonly int _slotsFrom;

    /// <summary>Registers the memory.</summary>
    /// <param name="ring">The ring.</param>
    /// <param name="count">How many requests.</param>
    /// <param name="size">Bytes of the longest.</param>
    /// <param name="slotsFrom">Bytes from which on a request's data is reached by its place alone.</param>
    public RegisteredMemory(Ring ring, int count, int size, int slotsFrom)
    {
        _memory = new BufferMemory(count, size);
        _slotsFrom = slotsFrom;
        Libc.IoVector[] vectors =
            [.. Enumerable.Range(0, count).Select(index => new Libc.IoVector { Base = _memory.AddressOf(index), Length = (nuint)size })];
        fixed (Libc.IoVector* data = vectors)
        {
            Assert.Equal(0, Libc.IoUringRegister(MappedMemoryOf(ring).Fd, RegisterBuffers, data, (uint)count));
        }
    }

    /// <summary>The memory behind a request's data.</summary>
    public IoBuffer MemoryOf(int slot, int length) => new(_memory.AddressOf(slot), length);

    public override IoBuffer Of(int slot, int length) =>
        length < _slotsFrom ? MemoryOf(slot, length) : IoBuffer.InSlot(slot, length, _memory.AddressOf(slot));

    public override void Dispose()
    {
        _memory.Dispose();
        base.Dispose();
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_memory")]
    private static extern ref RingMemory MappedMemoryOf(Ring ring);
}
