using Microsoft.Win32.SafeHandles;
using Ublk.Filters;
using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Live;

/// <summary>A disk that is served while it is copied: notes what is changed meanwhile.</summary>
/// <param name="disk">The disk; owned by this object.</param>
/// <param name="changes">What was changed.</param>
/// <param name="below">
/// The backing file over which an image is open, as a target; owned by this object until <see cref="KeepBelow"/>. Null where the disk
/// opened all by itself.
/// </param>
internal sealed class ChangeNotingTarget(BlockTarget disk, ChangedRanges changes, BlockTarget? below = null) : FilterTarget(disk)
{
    private BlockTarget? _below = below;

    /// <inheritdoc/>
    public override IReadOnlyList<SafeFileHandle> Files { get; } = [.. below?.Files ?? [], .. disk.Files];

    /// <inheritdoc/>
    public override IoTask<int> HandleAsync(IoRequest request) =>
        request.Operation is IoOperation.Read or IoOperation.Flush ? Inner.HandleAsync(request) : ChangeAsync(request);

    /// <summary>Keeps the backing file open when this is closed.</summary>
    public void KeepBelow() => _below = null;

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
        {
            _below?.Dispose();
        }
    }

    // Noted after the change: a copy made before is made again. One that failed may have changed something.
    private async IoTask<int> ChangeAsync(IoRequest request)
    {
        try
        {
            return await Inner.HandleAsync(request);
        }
        finally
        {
            changes.Mark(request.Offset, request.Length);
        }
    }
}
