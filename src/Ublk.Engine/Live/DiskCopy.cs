using Microsoft.Win32.SafeHandles;
using Ublk.Targets;

namespace Ublk.Live;

/// <summary>
/// Copies a disk to another place while it is in use, until both have the same content: either can then be the disk.
/// </summary>
/// <param name="disk">The disk, which stays the device's.</param>
/// <param name="noting">What answers its requests meanwhile.</param>
/// <param name="next">The other place, open as the disk.</param>
/// <param name="changes">What is to be copied.</param>
internal abstract class DiskCopy(OpenedDisk disk, ChangeNotingTarget noting, OpenedDisk next, ChangedRanges changes) : IDisposable
{
    // What may be left for the time in which requests wait.
    private const long MaxRest = 16 << 20;

    // A disk that is written faster than it is copied is copied no further without making it wait.
    private const int MaxPasses = 8;

    /// <summary>The disk while it is copied.</summary>
    public OpenedDisk Disk { get; } = disk with { Target = noting };

    /// <summary>The other place, open as the disk.</summary>
    public OpenedDisk Next { get; } = next;

    /// <summary>The disk as it was before, if it is open as it was; null if it must be opened anew to give the copy up.</summary>
    public virtual OpenedDisk? Former => null;

    /// <summary>The files for operations on the other place.</summary>
    protected virtual IReadOnlyList<SafeFileHandle> DestinationFiles => Next.Target.Files;

    /// <summary>
    /// Copies everything, then again what was changed meanwhile, until little is left. Then no requests are in flight, and the rest is
    /// copied and made durable.
    /// </summary>
    /// <param name="advance">Called with the position on the disk up to which everything was copied once.</param>
    /// <param name="check">Called now and then; throws where the command is to end.</param>
    /// <param name="hold">Has new requests wait, and returns when none is in flight.</param>
    /// <exception cref="UblkException">Something cannot be read or written.</exception>
    public void Run(Action<long> advance, Action check, Action hold)
    {
        using CopyQueue source = new(Disk.Target);
        using CopyQueue destination = new(DestinationFiles);
        CopyChanges(source, destination, isFirst: true, position =>
        {
            advance(position);
            check();
        });
        for (int pass = 1; pass < MaxPasses && changes.Length > MaxRest; pass++)
        {
            CopyChanges(source, destination, isFirst: false, _ => check());
        }

        hold();
        CopyChanges(source, destination, isFirst: false, _ => { });
        destination.Flush(Next.Bare);
    }

    /// <summary>Closes the disk, and keeps the other place open.</summary>
    public void CloseDisk()
    {
        noting.KeepBelow();
        noting.Dispose();
    }

    /// <summary>Closes what was opened for the copy, which is given up.</summary>
    public abstract void Dispose();

    /// <summary>Copies a range.</summary>
    /// <param name="source">The queue for operations on the disk.</param>
    /// <param name="destination">The queue for operations on the other place.</param>
    /// <param name="offset">The first byte of the range.</param>
    /// <param name="length">Its length in bytes.</param>
    /// <param name="isFirst">Whether nothing was copied there before.</param>
    /// <exception cref="UblkException">Something cannot be read or written.</exception>
    protected abstract void CopyRange(CopyQueue source, CopyQueue destination, long offset, int length, bool isFirst);

    private void CopyChanges(CopyQueue source, CopyQueue destination, bool isFirst, Action<long> report)
    {
        long position = 0;
        while (changes.TryTake(ref position, CopyQueue.MaxLength, out long offset, out int length))
        {
            CopyRange(source, destination, offset, length, isFirst);
            report(position);
        }
    }
}
