using Ublk.Interop;

namespace Ublk.Io;

/// <summary>A thread's data buffers, of one size: anonymous memory that costs nothing until touched and can be given back.</summary>
internal sealed class BufferMemory : IDisposable
{
    private readonly nuint _length;
    private readonly int _size;
    private nint _address;

    /// <summary>Reserves the buffers.</summary>
    /// <param name="count">How many.</param>
    /// <param name="size">Bytes of each; a multiple of the page size, so that each starts a page.</param>
    /// <exception cref="UblkException">There is no address space.</exception>
    public unsafe BufferMemory(int count, int size)
    {
        _size = size;
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

    /// <summary>The first byte of a buffer.</summary>
    public nint AddressOf(int index) => _address + ((nint)index * _size);

    /// <summary>Takes the memory from the kernel, so that no page is missing later.</summary>
    /// <exception cref="UblkException">There is not enough.</exception>
    public void Populate()
    {
        if (Libc.MAdvise(_address, _length, Libc.MADV_POPULATE_WRITE) != 0)
        {
            throw UblkException.FromErrno(Libc.LastErrno, "madvise",
                $"There is no memory for the {_length} bytes of a queue's buffers. Use a smaller QueueDepth or MaxIoSize, or leave "
                    + "BufferMode out");
        }
    }

    /// <summary>Returns the memory to the kernel: what was in it turns to zeroes.</summary>
    public void Trim() => _ = Libc.MAdvise(_address, _length, Libc.MADV_DONTNEED_LOCKED);

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
