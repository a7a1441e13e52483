using Microsoft.Win32.SafeHandles;
using Ublk.Counters;
using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>A target that stands before another: members that a filter does not override are those of the inner target.</summary>
internal abstract class FilterTarget : BlockTarget
{
    /// <summary>Stands before a target, which it disposes.</summary>
    protected FilterTarget(BlockTarget inner) => Inner = inner;

    /// <inheritdoc/>
    public override TargetGeometry Geometry => Inner.Geometry;

    /// <inheritdoc/>
    /// <remarks>A filter's own files come after those of the target behind it, which counts from 0.</remarks>
    public override IReadOnlyList<SafeFileHandle> Files => Inner.Files;

    /// <inheritdoc/>
    public override string? BackingPath => Inner.BackingPath;

    /// <inheritdoc/>
    public override IReadOnlyList<TargetCounter> Counters => Inner.Counters;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Properties => Inner.Properties;

    /// <inheritdoc/>
    public override bool ForwardsData => Inner.ForwardsData;

    /// <inheritdoc/>
    public override int ZeroCopyThreshold => Inner.ZeroCopyThreshold;

    /// <inheritdoc/>
    internal override bool KeepsState => Inner.KeepsState;

    /// <summary>The target behind.</summary>
    internal BlockTarget Inner { get; }

    /// <summary>
    /// Called when other filters have taken its place: no more requests come, and those that it keeps waiting are to go on. Callable from
    /// any thread.
    /// </summary>
    internal virtual void Retire()
    {
    }

    /// <inheritdoc/>
    internal override void Finish() => Inner.Finish();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Inner.Dispose();
        }

        base.Dispose(disposing);
    }
}
