using System.Collections.ObjectModel;
using Microsoft.Win32.SafeHandles;
using Ublk.Counters;
using Ublk.Io;

namespace Ublk.Targets;

/// <summary>A kind of disk: it says what it is like and answers requests. Derive from it to make a new one.</summary>
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
    /// What the target counts for its user to see, with Get-UblkDevice: up to 63 numbers, the same ones as long as it is open.
    /// </summary>
    public virtual IReadOnlyList<TargetCounter> Counters => [];

    /// <summary>
    /// What else the target tells its user about what is behind the disk, by name, with Get-UblkDevice: as it was when it was opened.
    /// </summary>
    public virtual IReadOnlyDictionary<string, string> Properties => ReadOnlyDictionary<string, string>.Empty;

    /// <summary>
    /// Whether the target never looks at a request's data and only hands its buffer to operations of the <see cref="IoQueue"/>,
    /// so that it need not be copied.
    /// </summary>
    public virtual bool ForwardsData => false;

    /// <summary>
    /// For a target that can do without a copy: bytes from which on a request is better off without; <see cref="int.MaxValue"/> for none.
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

    /// <summary>Writes back what is left when every request has been answered; before <see cref="Dispose()"/>, which cannot fail.</summary>
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
