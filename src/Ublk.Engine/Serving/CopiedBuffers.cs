using Ublk.Interop;

namespace Ublk.Serving;

/// <summary>
/// A queue's data buffers in the mode where the driver copies: one for each tag, anonymous memory that costs nothing
/// until touched and can be given back.
/// </summary>
internal sealed class CopiedBuffers : IDisposable
{
    private readonly nuint _length;
    private readonly int _stride;
    private nint _address;

    /// <summary>Reserves the buffers.</summary>
    /// <param name="count">The queue's depth.</param>
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

    /// <summary>The address of a tag's buffer.</summary>
    public nint AddressOf(int tag) => _address + ((nint)tag * _stride);

    /// <summary>Returns the memory to the kernel. No request may be under way: its data would turn to zeroes.</summary>
    public void GiveBack() => _ = Libc.MAdvise(_address, _length, Libc.MADV_DONTNEED_LOCKED);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_address != 0)
        {
            _ = Libc.MUnmap(_address, _length);
            _address = 0;
        }
    }
}
