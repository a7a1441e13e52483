using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Rings;

/// <summary>The memory a ring shares with the kernel, and the ring's file.</summary>
internal sealed unsafe class RingMemory : IDisposable
{
    private readonly SafeFileHandle _handle;
    private readonly nuint _ringsLength;
    private readonly nuint _entriesLength;
    private nint _rings;
    private nint _entries;

    /// <summary>Maps the rings and the entries; closes the file where that fails.</summary>
    /// <exception cref="UblkException">Memory cannot be mapped.</exception>
    public RingMemory(RingSetup setup)
    {
        _handle = setup.Handle;
        IoUringParams parameters = setup.Parameters;
        nuint sqeSize = (parameters.Flags & IoUring.SetupSqe128) != 0 ? 128u : 64u;
        nuint sqLength = parameters.Sq.Array + ((nuint)parameters.SqEntries * sizeof(uint));
        nuint cqLength = parameters.Cq.Cqes + ((nuint)parameters.CqEntries * (nuint)sizeof(IoUringCqe));
        _ringsLength = nuint.Max(sqLength, cqLength);
        _entriesLength = parameters.SqEntries * sqeSize;
        try
        {
            if ((parameters.Features & IoUring.FeatureSingleMmap) == 0)
            {
                throw new UblkException(UblkError.NotSupported, "This kernel's io_uring is too old.", operation: "io_uring_setup");
            }

            _rings = Map(_ringsLength, IoUring.OffsetSqRing);
            _entries = Map(_entriesLength, IoUring.OffsetSqes);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The ring's file descriptor.</summary>
    public int Fd => (int)_handle.DangerousGetHandle();

    /// <summary>The array of submission entries.</summary>
    public void* Entries => (void*)_entries;

    /// <summary>A place in the rings, by the offset the kernel gave.</summary>
    public T* At<T>(uint offset)
        where T : unmanaged => (T*)(_rings + (nint)offset);

    /// <inheritdoc/>
    public void Dispose()
    {
        Unmap(ref _entries, _entriesLength);
        Unmap(ref _rings, _ringsLength);
        _handle.Dispose();
    }

    private nint Map(nuint length, long offset)
    {
        nint address = Libc.MMap(
            length, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_SHARED | Libc.MAP_POPULATE, _handle, offset);
        return address != 0 ? address : throw UblkException.FromErrno(Libc.LastErrno, "mmap", "Cannot map an io_uring");
    }

    private static void Unmap(ref nint address, nuint length)
    {
        if (address != 0)
        {
            _ = Libc.MUnmap(address, length);
            address = 0;
        }
    }
}
