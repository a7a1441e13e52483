using System.Collections.ObjectModel;
using Microsoft.Win32.SafeHandles;
using Ublk.Counters;
using Ublk.Io;

namespace Ublk.Targets;

/// <summary>Base class of a disk: describes its geometry and answers requests.</summary>
public abstract class BlockTarget : IDisposable
{
    private bool _isDisposed;

    /// <summary>What the disk is like; fixed once the target is open.</summary>
    public abstract TargetGeometry Geometry { get; }

    /// <summary>The files the target does its I/O on, in the order its operations on an <see cref="IoQueue"/> count them.</summary>
    public virtual IReadOnlyList<SafeFileHandle> Files => [];

    /// <summary>
    /// The file or device behind the disk, or the URI of what is elsewhere, for the user to see; null where there is none. Where it is a
    /// path, the first of <see cref="Files"/> is that file.
    /// </summary>
    public virtual string? BackingPath => null;

    /// <summary>
    /// Counters shown by Get-UblkDevice: up to 63, the same ones as long as the target is open.
    /// </summary>
    public virtual IReadOnlyList<TargetCounter> Counters => [];

    /// <summary>
    /// Information about the storage when the target was opened, by name, shown by Get-UblkDevice.
    /// </summary>
    public virtual IReadOnlyDictionary<string, string> Properties => ReadOnlyDictionary<string, string>.Empty;

    /// <summary>
    /// Whether the target never accesses a request's data and only hands its buffer to operations of the <see cref="IoQueue"/>,
    /// so that it need not be copied.
    /// </summary>
    public virtual bool ForwardsData => false;

    /// <summary>
    /// The request size in bytes from which zero copy is faster; <see cref="int.MaxValue"/> for never.
    /// </summary>
    public virtual int ZeroCopyThreshold => 0;

    /// <summary>Answers one request.</summary>
    /// <remarks>
    /// Called on the request's queue thread, for many requests at once and, with several queues, from several threads.
    /// The code after an await is back on that thread.
    /// </remarks>
    /// <param name="request">The request, valid until the returned task completes.</param>
    /// <returns>
    /// 0, or the request's length, when all of it is done; a negative errno when it failed. There is no partial success:
    /// finish short transfers. An exception counts as EIO.
    /// </returns>
    public abstract IoTask<int> HandleAsync(IoRequest request);

    /// <summary>Whether the target keeps at <see cref="TargetOptions.StatePath"/> what its next worker cannot do without.</summary>
    internal virtual bool KeepsState => false;

    /// <summary>Whether only the queues that serve the disk can send requests: each has connections of its own.</summary>
    internal virtual bool IsBoundToQueues => false;

    /// <summary>Whether a range is known to have nothing but zeroes, without reading it. Callable from each thread with a queue.</summary>
    /// <param name="offset">The first byte of the range.</param>
    /// <param name="length">Its length in bytes.</param>
    internal virtual bool ReadsAsZeroes(long offset, long length) => false;

    /// <summary>Writes back remaining data after the last request; before <see cref="Dispose()"/>, which cannot fail.</summary>
    /// <exception cref="UblkException">Something could not be written.</exception>
    internal virtual void Finish()
    {
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            Dispose(true);
            GC.SuppressFinalize(this);
        }
    }

    /// <summary>Closes what the target opened; every request has been answered by then.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}
