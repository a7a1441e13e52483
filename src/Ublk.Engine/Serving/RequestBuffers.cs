using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Rings;

namespace Ublk.Serving;

/// <summary>The data buffers of a thread's requests, and how its commands name them.</summary>
internal abstract unsafe class RequestBuffers : IDisposable
{
    /// <summary>The buffers a device's features call for.</summary>
    /// <param name="features">The device's features, as the driver took them.</param>
    /// <param name="ring">The thread's ring.</param>
    /// <param name="charDevice">The device's node, open as long as the buffers are used.</param>
    /// <param name="queueId">Which of its queues.</param>
    /// <param name="count">The thread's tags.</param>
    /// <param name="maxIoSize">Bytes of the greatest request.</param>
    /// <param name="zeroCopyThreshold">Bytes from which on a request is not copied, where both is possible.</param>
    /// <exception cref="UblkException">The kernel refuses them.</exception>
    public static RequestBuffers Create(
        UblkFeatures features, Ring ring, SafeFileHandle charDevice, int queueId, int count, int maxIoSize, int zeroCopyThreshold)
    {
        if (!features.HasFlag(UblkFeatures.UserCopy))
        {
            return features.HasFlag(UblkFeatures.SupportZeroCopy)
                ? new ZeroCopyBuffers(ring, count, features.HasFlag(UblkFeatures.AutoBufReg))
                : new KernelCopyBuffers(count, maxIoSize, CutsWritesShort(features));
        }

        UserCopyBuffers copied = new((int)charDevice.DangerousGetHandle(), queueId, count, maxIoSize);
        return features.HasFlag(UblkFeatures.SupportZeroCopy)
            ? new HybridBuffers(copied, new ZeroCopyBuffers(ring, count, isAutomatic: false), zeroCopyThreshold)
            : copied;
    }

    // Where a page is not to be had while the driver copies a write, it copies less and describes a shorter request. Drivers that have this
    // flag by themselves take the answer for the whole. A worker of an ordinary user is killed rather than refused a page.
    private static bool CutsWritesShort(UblkFeatures features) =>
        features.HasFlag(UblkFeatures.SafeStopDev) && !features.HasFlag(UblkFeatures.UnprivilegedDev);

    /// <summary>Whether idle memory can be trimmed.</summary>
    public virtual bool CanTrim => false;

    /// <summary>Whether requests go through <see cref="CopyIn"/> and <see cref="CopyOut"/>.</summary>
    public virtual bool NeedsCopy => false;

    /// <summary>The buffer of a slot's request.</summary>
    public abstract IoBuffer Of(int slot, int length);

    /// <summary>Fills in a request as the driver describes it, with a buffer where it has data.</summary>
    public void Load(IoRequest request, in UblkIoDescriptor descriptor)
    {
        uint flags = descriptor.OpFlags;
        IoOperation operation = (IoOperation)(flags & UblkAbi.OpMask);

        // A flush comes with start sector 2^64-1, which no offset in bytes can express.
        bool hasRange = operation != IoOperation.Flush;
        long length = hasRange ? (long)descriptor.SectorCount << UblkAbi.SectorShift : 0;
        request.Load(
            operation, (flags & UblkAbi.IoFlagFua) != 0, (flags & UblkAbi.IoFlagNoUnmap) != 0,
            hasRange ? (long)(descriptor.StartSector << UblkAbi.SectorShift) : 0, length,
            operation is IoOperation.Read or IoOperation.Write ? Of(request.Slot, (int)length) : default);
    }

    /// <summary>Copies the data of a write in from its client.</summary>
    /// <returns>0 or a negative errno.</returns>
    public virtual int CopyIn(IoRequest request) => 0;

    /// <summary>Copies the data of a read that succeeded out to its client, and releases the buffer.</summary>
    /// <returns>The result, or a negative errno.</returns>
    public virtual int CopyOut(IoRequest request, int result) => result;

    /// <summary>Whether a request's buffer must be registered before the target uses it, and unregistered after.</summary>
    public virtual bool NeedsRegistration(in UblkIoDescriptor descriptor) => false;

    /// <summary>Sets the buffer of the slot's next request in an SQE whose command is filled in.</summary>
    public virtual void Prepare(IoUringSqe* entry, int slot)
    {
    }

    /// <summary>Returns the memory to the kernel. No request may be in flight: its data would be zeroed.</summary>
    public virtual void Trim()
    {
    }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
    }
}
