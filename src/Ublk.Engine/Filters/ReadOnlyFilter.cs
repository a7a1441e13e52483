using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>Refuses everything that would change the disk, which opens what is behind it for reading alone.</summary>
internal sealed class ReadOnlyFilter : FilterTarget
{
    private ReadOnlyFilter(BlockTarget inner)
        : base(inner) => Geometry = inner.Geometry with { ReadOnly = true };

    /// <summary>The catalogue's entry.</summary>
    public static FilterDefinition Definition { get; } =
        new("ReadOnly", "Refuses everything that would change the disk.", [], (inner, _) => new ReadOnlyFilter(inner)) { OnlyReads = true };

    /// <inheritdoc/>
    public override TargetGeometry Geometry { get; }

    /// <inheritdoc/>
    public override IoTask<int> HandleAsync(IoRequest request) => request.Operation switch
    {
        IoOperation.Read => Inner.HandleAsync(request),
        IoOperation.Flush => 0,
        _ => -Libc.EPERM,
    };
}
