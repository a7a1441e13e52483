using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>Answers whatever changes the disk only when that is durable, so that the disk has no volatile cache.</summary>
internal sealed class WriteThroughFilter : FilterTarget
{
    private readonly bool _forcesUnitAccess;

    private WriteThroughFilter(BlockTarget inner)
        : base(inner)
    {
        _forcesUnitAccess = inner.Geometry.ForceUnitAccess;
        Geometry = inner.Geometry with { VolatileCache = false };
    }

    /// <inheritdoc/>
    public override TargetGeometry Geometry { get; }

    /// <summary>The disk without a volatile cache: the target itself where that has none.</summary>
    public static BlockTarget Wrap(BlockTarget target) => target.Geometry.VolatileCache ? new WriteThroughFilter(target) : target;

    /// <inheritdoc/>
    public override IoTask<int> HandleAsync(IoRequest request) => request.Operation switch
    {
        IoOperation.Read or IoOperation.Flush => Inner.HandleAsync(request),
        IoOperation.Write when _forcesUnitAccess => Inner.HandleAsync(request.DeriveDurable()),
        _ => ChangeAsync(request),
    };

    // Targets need not make ranges that are zeroed or discarded durable by themselves.
    private async IoTask<int> ChangeAsync(IoRequest request)
    {
        int result = await Inner.HandleAsync(request);
        if (result < 0)
        {
            return result;
        }

        int flushed = await Inner.HandleAsync(request.Derive(IoOperation.Flush, 0, 0, default));
        return flushed < 0 ? flushed : result;
    }
}
