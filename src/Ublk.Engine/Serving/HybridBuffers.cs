using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Serving;

/// <summary>A thread's data in the mode where great requests are not copied, and the worker copies small ones.</summary>
internal sealed class HybridBuffers : RequestBuffers
{
    private readonly UserCopyBuffers _small;
    private readonly ZeroCopyBuffers _great;
    private readonly int _threshold;

    /// <summary>Takes both kinds, and disposes them.</summary>
    /// <param name="small">What serves requests of fewer bytes than the threshold.</param>
    /// <param name="great">What serves the others; registered by hand.</param>
    /// <param name="threshold">Bytes from which on a request is not copied.</param>
    public HybridBuffers(UserCopyBuffers small, ZeroCopyBuffers great, int threshold)
    {
        _small = small;
        _great = great;
        _threshold = threshold;
    }

    /// <inheritdoc/>
    public override bool CanTrim => true;

    /// <inheritdoc/>
    public override bool NeedsCopy => true;

    /// <inheritdoc/>
    public override IoBuffer Of(int slot, int length) => length < _threshold ? _small.Of(slot, length) : _great.Of(slot, length);

    /// <inheritdoc/>
    public override bool NeedsRegistration(in UblkIoDescriptor descriptor) =>
        ((long)descriptor.SectorCount << UblkAbi.SectorShift) >= _threshold && _great.NeedsRegistration(descriptor);

    /// <inheritdoc/>
    public override int CopyIn(IoRequest request) => request.Buffer.IsMemory ? _small.CopyIn(request) : 0;

    /// <inheritdoc/>
    public override int CopyOut(IoRequest request, int result) => request.Buffer.IsMemory ? _small.CopyOut(request, result) : result;

    /// <inheritdoc/>
    public override void Trim() => _small.Trim();

    /// <inheritdoc/>
    public override void Dispose()
    {
        _small.Dispose();
        _great.Dispose();
        base.Dispose();
    }
}
