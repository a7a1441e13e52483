using Ublk.Interop;
using Ublk.Rings;

namespace Ublk.Serving;

/// <summary>A queue's data in the mode where nobody copies: the clients' own pages, in the ring's table of buffers at the tag's place.</summary>
internal sealed unsafe class RegisteredBuffers : RequestBuffers
{
    private readonly bool _isAutomatic;

    /// <summary>Makes the table.</summary>
    /// <param name="ring">The queue's ring.</param>
    /// <param name="depth">The queue's depth.</param>
    /// <param name="isAutomatic">Whether the driver registers each request's pages by itself (from 6.16).</param>
    /// <exception cref="UblkException">The kernel refuses it.</exception>
    public RegisteredBuffers(Ring ring, int depth, bool isAutomatic)
    {
        _isAutomatic = isAutomatic;
        ring.RegisterBufferTable(depth);
    }

    /// <inheritdoc/>
    public override IoBuffer Of(int tag, int length) => IoBuffer.InSlot(tag, length);

    /// <inheritdoc/>
    public override bool NeedsRegistration(in UblkIoDescriptor descriptor) => _isAutomatic
        ? (descriptor.OpFlags & UblkAbi.IoFlagNeedRegisteredBuffer) != 0
        : (IoOperation)(descriptor.OpFlags & UblkAbi.OpMask) is IoOperation.Read or IoOperation.Write;

    /// <inheritdoc/>
    public override void Describe(IoUringSqe* entry, int tag)
    {
        if (_isAutomatic)
        {
            entry->Address = (uint)tag | UblkAbi.AutoBufferFallback;
        }
    }
}
