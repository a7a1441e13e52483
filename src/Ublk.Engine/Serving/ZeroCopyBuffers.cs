using Ublk.Interop;
using Ublk.Io;
using Ublk.Rings;

namespace Ublk.Serving;

/// <summary>A thread's data with zero copy: the clients' own pages, in its ring's table of buffers.</summary>
internal sealed unsafe class ZeroCopyBuffers : RequestBuffers
{
    private readonly bool _isAutomatic;

    /// <summary>Makes the table.</summary>
    /// <param name="ring">The thread's ring.</param>
    /// <param name="count">The thread's tags.</param>
    /// <param name="isAutomatic">Whether the driver registers each request's pages by itself (from 6.16).</param>
    /// <exception cref="UblkException">The kernel refuses it.</exception>
    public ZeroCopyBuffers(Ring ring, int count, bool isAutomatic)
    {
        _isAutomatic = isAutomatic;
        ring.RegisterBufferTable(count);
    }

    /// <inheritdoc/>
    public override IoBuffer Of(int slot, int length) => IoBuffer.InSlot(slot, length);

    /// <inheritdoc/>
    public override bool NeedsRegistration(in UblkIoDescriptor descriptor) => _isAutomatic
        ? (descriptor.OpFlags & UblkAbi.IoFlagNeedRegisteredBuffer) != 0
        : (IoOperation)(descriptor.OpFlags & UblkAbi.OpMask) is IoOperation.Read or IoOperation.Write;

    /// <inheritdoc/>
    public override void Prepare(IoUringSqe* entry, int slot)
    {
        if (_isAutomatic)
        {
            entry->Address = (uint)slot | UblkAbi.AutoBufferFallback;
        }
    }
}
