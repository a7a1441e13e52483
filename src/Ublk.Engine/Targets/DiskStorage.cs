using Microsoft.Win32.SafeHandles;

namespace Ublk.Targets;

/// <summary>What is behind a disk, seen from outside its worker, while the disk's size is changed.</summary>
internal abstract class DiskStorage : IDisposable
{
    /// <summary>The size of the disk that a new worker would make of it, in bytes; null where it has no size of its own.</summary>
    public abstract long? Size { get; }

    /// <summary>The file, open; null where there is none.</summary>
    public virtual SafeFileHandle? File => null;

    /// <summary>Makes it as large as a disk of this size needs it. The worker serves it meanwhile.</summary>
    /// <param name="size">The disk's size in bytes.</param>
    /// <returns>The target's options by which a new worker makes a disk of this size.</returns>
    /// <exception cref="UblkException">It cannot have this size.</exception>
    public abstract IReadOnlyDictionary<string, string> Resize(long size);

    /// <summary>Takes the last <see cref="Resize"/> back, after one that made it larger.</summary>
    public abstract void Undo();

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Closes what was opened.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}
