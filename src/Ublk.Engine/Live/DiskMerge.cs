using Ublk.Specification;
using Ublk.Targets.Qcow2;

namespace Ublk.Live;

/// <summary>Copies what a disk's image has into its backing file while the disk is in use.</summary>
/// <remarks>
/// The backing file is open as a target of its own, and the image over it. The image shadows whatever is copied, so it is complete at any
/// moment, and what a killed worker leaves in the backing file does no harm.
/// </remarks>
internal sealed class DiskMerge : IDisposable
{
    // What may be left for the time in which requests wait.
    private const long MaxRest = 16 << 20;

    // A disk that is written faster than it is copied is copied no further without making it wait.
    private const int MaxPasses = 8;

    private readonly Qcow2Target _image;
    private readonly ChangedRanges _changes;
    private readonly MergingTarget _target;

    private DiskMerge(OpenedDisk former, OpenedDisk next)
    {
        _image = (Qcow2Target)former.Bare;
        _changes = new ChangedRanges(former.Target.Geometry.Size);
        _target = new MergingTarget(former.Target, next.Target, _changes);
        Disk = former with { Target = _target };
        Next = next;
    }

    /// <summary>The disk while it is merged: what its image says, which stays the device's.</summary>
    public OpenedDisk Disk { get; }

    /// <summary>The backing file as the disk.</summary>
    public OpenedDisk Next { get; }

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
            return new DiskMerge(host.Open(closed.Specification, closed.Generation, isReopened: true, next.Bare), next);
        }
        catch
        {
            next.Target.Dispose();
            throw;
        }
    }

    /// <summary>Copies everything, then again what was changed meanwhile, until little is left.</summary>
    /// <param name="advance">Called with the position on the disk up to which everything was copied once.</param>
    /// <param name="check">Called now and then; throws where the command is to end.</param>
    /// <exception cref="UblkException">Something cannot be read or written.</exception>
    public void Copy(Action<long> advance, Action check)
    {
        using CopyQueue queue = new(_target);
        CopyChanges(queue, position =>
        {
            advance(position);
            check();
        });
        for (int pass = 1; pass < MaxPasses && _changes.Length > MaxRest; pass++)
        {
            CopyChanges(queue, _ => check());
        }
    }

    /// <summary>While no request is in flight: copies what is left.</summary>
    /// <exception cref="UblkException">Something cannot be read or written.</exception>
    public void CopyRest()
    {
        using CopyQueue queue = new(_target);
        CopyChanges(queue, _ => { });
    }

    /// <summary>Closes the image, and keeps the backing file open.</summary>
    public void CloseImage()
    {
        _target.KeepBelow();
        _target.Dispose();
    }

    /// <inheritdoc/>
    public void Dispose() => _target.Dispose();

    private void CopyChanges(CopyQueue queue, Action<long> report)
    {
        long position = 0;
        while (_changes.TryTake(ref position, CopyQueue.MaxLength, out long offset, out int length))
        {
            queue.Run(length, (request, buffer) => _image.CopyOwnAsync(request, Next.Bare, offset, buffer),
                $"{_image.BackingPath} cannot be merged into {Next.Target.BackingPath}");
            report(position);
        }
    }
}
