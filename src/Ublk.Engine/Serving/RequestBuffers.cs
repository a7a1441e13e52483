using Ublk.Control;
using Ublk.Interop;
using Ublk.Rings;

namespace Ublk.Serving;

/// <summary>Where the data of a thread's requests is, and what the driver is told of it with each command.</summary>
internal abstract unsafe class RequestBuffers : IDisposable
{
    /// <summary>The buffers a device's features call for.</summary>
    /// <param name="features">The device's features, as the driver took them.</param>
    /// <param name="ring">The thread's ring.</param>
    /// <param name="count">The thread's tags.</param>
    /// <param name="maxIoSize">Bytes of the greatest request.</param>
    /// <exception cref="UblkException">The kernel refuses them.</exception>
    public static RequestBuffers Create(UblkFeatures features, Ring ring, int count, int maxIoSize) =>
        features.HasFlag(UblkFeatures.SupportZeroCopy)
            ? new RegisteredBuffers(ring, count, features.HasFlag(UblkFeatures.AutoBufReg))
            : new CopiedBuffers(count, maxIoSize);

    /// <summary>Whether idle memory can be given back.</summary>
    public virtual bool CanGiveBack => false;

    /// <summary>The buffer of a slot's request.</summary>
    public abstract IoBuffer Of(int slot, int length);

    /// <summary>Whether a request's buffer must be registered before the target uses it, and unregistered after.</summary>
    public virtual bool NeedsRegistration(in UblkIoDescriptor descriptor) => false;

    /// <summary>Tells the driver where the slot's next request goes, in an entry whose command is filled already.</summary>
    public abstract void Describe(IoUringSqe* entry, int slot);

    /// <summary>Returns the memory to the kernel. No request may be under way: its data would turn to zeroes.</summary>
    public virtual void GiveBack()
    {
    }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
    }
}
