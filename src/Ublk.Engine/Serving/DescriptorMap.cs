using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Serving;

/// <summary>A queue's request descriptors, which the driver writes and the queue's thread reads.</summary>
internal sealed unsafe class DescriptorMap : IDisposable
{
    private readonly nuint _length;
    private nint _address;

    /// <summary>Maps the descriptors of one queue.</summary>
    /// <exception cref="UblkException">The driver refuses.</exception>
    public DescriptorMap(SafeFileHandle charDevice, int queueId, int depth)
    {
        nuint page = (nuint)Environment.SystemPageSize;
        _length = RoundUp((nuint)(depth * sizeof(UblkIoDescriptor)), page);

        // Each queue's slot has room for the greatest depth, whatever this device's is.
        nuint slot = RoundUp((nuint)(UblkAbi.MaxQueueDepth * sizeof(UblkIoDescriptor)), page);
        _address = Libc.MMap(
            _length, Libc.PROT_READ, Libc.MAP_SHARED | Libc.MAP_POPULATE, charDevice, (long)slot * queueId);
        if (_address == 0)
        {
            throw UblkException.FromErrno(Libc.LastErrno, "mmap", $"Cannot map the descriptors of queue {queueId}");
        }
    }

    /// <summary>The descriptor of a tag; to be read between the command's completion and the answer.</summary>
    public ref readonly UblkIoDescriptor this[int tag] => ref ((UblkIoDescriptor*)_address)[tag];

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_address != 0)
        {
            _ = Libc.MUnmap(_address, _length);
            _address = 0;
        }
    }

    private static nuint RoundUp(nuint value, nuint unit) => (value + unit - 1) / unit * unit;
}
