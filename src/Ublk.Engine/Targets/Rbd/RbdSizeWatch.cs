using System.Runtime.InteropServices;
using Ublk.Interop;

namespace Ublk.Targets.Rbd;

/// <summary>
/// Notices when somebody changes the size of an image. librbd's thread posts a semaphore, which takes no managed code; a thread waits for
/// that and asks for the size, which may take as long as the cluster does.
/// </summary>
internal sealed unsafe class RbdSizeWatch : IDisposable
{
    private readonly nint _image;
    private readonly Action<long> _changed;
    private readonly nint _semaphore;
    private readonly ulong _watch;
    private readonly Thread _thread;
    private long _size;
    private volatile bool _isEnding;

    /// <summary>Begins to watch.</summary>
    /// <param name="image">The image, which stays open longer.</param>
    /// <param name="size">The size in bytes that the disk has.</param>
    /// <param name="changed">Called with a new size, on a thread of its own.</param>
    /// <exception cref="UblkException">librbd refuses it.</exception>
    public RbdSizeWatch(RbdImage image, long size, Action<long> changed)
    {
        _image = image.Handle;
        _size = size;
        _changed = changed;
        _semaphore = (nint)NativeMemory.AllocZeroed(Libc.SemaphoreSize);

        // Not zero: the size may have changed since it was read, or while no worker watched.
        _ = Libc.SemInit(_semaphore, 0, 1);
        try
        {
            RbdError.Check(LibRbd.Watch(_image, out _watch, Libc.SemPostAddress, _semaphore), "watch the image");
        }
        catch
        {
            Free();
            throw;
        }

        _thread = new Thread(Watch) { IsBackground = true, Name = "rbd-size" };
        _thread.Start();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _ = LibRbd.Unwatch(_image, _watch);
        _isEnding = true;
        _ = Libc.SemPost(_semaphore);
        _thread.Join();
        Free();
    }

    private void Watch()
    {
        while (Wait())
        {
            if (LibRbd.GetSize(_image, out ulong size) >= 0 && (long)size != _size)
            {
                _size = (long)size;
                _changed(_size);
            }
        }
    }

    private bool Wait()
    {
        while (Libc.SemWait(_semaphore) != 0)
        {
        }

        return !_isEnding;
    }

    private void Free()
    {
        _ = Libc.SemDestroy(_semaphore);
        NativeMemory.Free((void*)_semaphore);
    }
}
