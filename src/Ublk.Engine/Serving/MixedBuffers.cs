using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Serving;

/// <summary>A thread's data in the mode where great requests are not copied, and the worker copies small ones.</summary>
internal sealed class MixedBuffers : RequestBuffers
{
    private readonly UserCopyBuffers _small;
    private readonly RegisteredBuffers _great;
    private readonly int _threshold;

    /// <summary>Takes both kinds, and disposes them.</summary>
    /// <param name="small">What serves requests of fewer bytes than the threshold.</param>
    /// <param name="great">What serves the others; registered by hand.</param>
    /// <param name="threshold">Bytes from which on a request is not copied.</param>
    public MixedBuffers(UserCopyBuffers small, RegisteredBuffers great, int threshold)
    {
        _small = small;
        _great = great;
        _threshold = threshold;
    }

    /// <inheritdoc/>
    public override bool CanGiveBack => true;

    /// <inheritdoc/>
    public override bool CopiesHere => true;

    /// <inheritdoc/>
    public override IoBuffer Of(int slot, int length) => length < _threshold ? _small.Of(slot, length) : _great.Of(slot, length);

    /// <inheritdoc/>
    public override bool NeedsRegistration(in UblkIoDescriptor descriptor) =>
        ((long)descriptor.SectorCount << UblkAbi.SectorShift) >= _threshold && _great.NeedsRegistration(descriptor);

    /// <inheritdoc/>
    public override int Take(IoRequest request) => request.Buffer.IsMemory ? _small.Take(request) : 0;

    /// <inheritdoc/>
    public override int Give(IoRequest request, int result) => request.Buffer.IsMemory ? _small.Give(request, result) : result;

    /// <inheritdoc/>
    public override void GiveBack() => _small.GiveBack();

    /// <inheritdoc/>
    public override void Dispose()
    {
        _small.Dispose();
        _great.Dispose();
        base.Dispose();
    }
}
