using Ublk.Interop;

namespace Ublk.Serving;

/// <summary>
/// A thread's data buffers in the mode where the driver copies: one for each of its tags, anonymous memory that costs nothing
/// until touched and can be given back.
/// </summary>
internal sealed unsafe class CopiedBuffers : RequestBuffers
{
    private readonly nuint _length;
    private readonly int _stride;
    private nint _address;

    /// <summary>Reserves the buffers.</summary>
    /// <param name="count">The thread's tags.</param>
    /// <param name="size">Bytes of the greatest request; a multiple of the page size, so that each buffer starts a page.</param>
    /// <exception cref="UblkException">There is no address space.</exception>
    public CopiedBuffers(int count, int size)
    {
        _stride = size;
        _length = (nuint)count * (nuint)size;
        int flags = Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_NORESERVE;
        _address = Libc.MMap(_length, Libc.PROT_READ | Libc.PROT_WRITE, flags, null, 0);
        if (_address == 0)
        {
            throw UblkException.FromErrno(Libc.LastErrno, "mmap", "Cannot reserve the queue's buffers");
        }

        // A small request must not make the kernel zero, and keep, 2 MiB.
        _ = Libc.MAdvise(_address, _length, Libc.MADV_NOHUGEPAGE);
    }

    /// <inheritdoc/>
    public override bool CanGiveBack => true;

    /// <inheritdoc/>
    public override IoBuffer Of(int slot, int length) => new(AddressOf(slot), length);

    /// <inheritdoc/>
    public override void Describe(IoUringSqe* entry, int slot) =>
        ((UblkIoCommand*)&entry->Command)->Address = (ulong)AddressOf(slot);

    /// <inheritdoc/>
    public override void GiveBack() => _ = Libc.MAdvise(_address, _length, Libc.MADV_DONTNEED_LOCKED);

    /// <inheritdoc/>
    public override void Dispose()
    {
        if (_address != 0)
        {
            _ = Libc.MUnmap(_address, _length);
            _address = 0;
        }

        base.Dispose();
    }

    private nint AddressOf(int slot) => _address + ((nint)slot * _stride);
}
