using Ublk.Specification;
using Ublk.Targets.Qcow2;

namespace Ublk.Live;

/// <summary>Copies what a disk's image has into its backing file while the disk is in use.</summary>
/// <remarks>
/// The backing file is open as a target of its own, and the image over it. The image shadows whatever is copied, so it is complete at any
/// moment, and what a killed worker leaves in the backing file does no harm.
/// </remarks>
internal sealed class DiskMerge : DiskCopy
{
    private readonly Qcow2Target _image;

    private DiskMerge(OpenedDisk image, OpenedDisk next, ChangedRanges changes)
        : base(image, new ChangeNotingTarget(image.Target, changes, next.Target), next, changes) => _image = (Qcow2Target)image.Bare;

    /// <summary>Opens a closed disk for it.</summary>
    /// <param name="host">The worker.</param>
    /// <param name="closed">The disk.</param>
    /// <param name="specification">The device with the backing file as its disk.</param>
    /// <exception cref="UblkException">One of them cannot be opened, or the backing file cannot be the disk; neither is open.</exception>
    public static DiskMerge Open(ILiveHost host, OpenedDisk closed, DeviceSpecification specification)
    {
        OpenedDisk next = host.Open(specification, closed.Generation + 1, isReopened: false);
        try
        {
            host.RequireFit(next);
            OpenedDisk image = host.Open(closed.Specification, closed.Generation, isReopened: true, next.Bare);
            return new DiskMerge(image, next, new ChangedRanges(image.Target.Geometry.Size));
        }
        catch
        {
            next.Target.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override void Dispose() => Disk.Target.Dispose();

    /// <inheritdoc/>
    protected override void CopyRange(CopyQueue source, CopyQueue destination, long offset, int length, bool isFirst) =>
        source.Run(length, (request, buffer) => _image.CopyOwnAsync(request, Next.Bare, offset, buffer),
            $"{_image.BackingPath} cannot be merged into {Next.Target.BackingPath}");
}
