using Ublk.Io;
using Ublk.Qcow2.Data;

namespace Ublk.Targets.Qcow2;

/// <summary>A backing file that is open as a target, so that it can be written while the image above reads it.</summary>
/// <param name="target">The target, which stays the caller's.</param>
internal sealed class TargetLayer(BlockTarget target) : DiskLayer
{
    /// <inheritdoc/>
    public override long Size => target.Geometry.Size;

    /// <inheritdoc/>
    public override int Alignment => target.Geometry.LogicalBlockSize;

    /// <inheritdoc/>
    public override bool ReadsAsZeroes(long offset, long length) => offset >= Size;

    /// <inheritdoc/>
    public override void Dispose()
    {
    }

    // The target's disk ends with a whole block.
    protected override async IoTask<int> ReadInsideAsync(IoBuffer buffer, long offset)
    {
        int length = (int)long.Min(buffer.Length, Size - offset);
        buffer.Span[length..].Clear();
        IoRequest request = new(IoQueue.Current!, 0, 0);
        request.Load(
            IoOperation.Read, isForceUnitAccess: false, mustStayAllocated: false, offset, length, buffer.Slice(0, length));
        return RequestResult.ForDriver(request, await target.HandleAsync(request)) is var result and < 0 ? result : 0;
    }
}
