using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Io;

/// <summary>
/// Brings completions from outside the ring back to the queue's thread: a target may await a timer, a socket library or
/// another thread, and goes on where the driver accepts its answer.
/// </summary>
internal sealed unsafe class QueueSynchronizationContext : SynchronizationContext, IDisposable
{
    private readonly ConcurrentQueue<(SendOrPostCallback Callback, object? State)> _posted = new();
    private readonly ulong* _wakeUpCount = (ulong*)NativeMemory.AllocZeroed(sizeof(ulong));
    private int _isWoken;

    public QueueSynchronizationContext()
    {
        int fd = Libc.EventFd(0, Libc.EFD_CLOEXEC);
        WakeUpFile = fd >= 0
            ? new SafeFileHandle(fd, ownsHandle: true)
            : throw UblkException.FromErrno(Libc.LastErrno, "eventfd", "Cannot make an eventfd");
    }

    /// <summary>The eventfd the ring reads.</summary>
    public SafeFileHandle WakeUpFile { get; }

    /// <summary>Where the ring reads it to.</summary>
    public nint WakeUpBuffer => (nint)_wakeUpCount;

    /// <summary>Queues work for the queue's thread and wakes it. Callable from any thread.</summary>
    public override void Post(SendOrPostCallback d, object? state)
    {
        _posted.Enqueue((d, state));

        // One wake-up does for all that is posted until the thread comes to it.
        if (Interlocked.Exchange(ref _isWoken, 1) == 0)
        {
            WakeUp();
        }
    }

    /// <summary>Refused: waiting for a queue's thread from another one invites deadlock.</summary>
    public override void Send(SendOrPostCallback d, object? state) =>
        throw new NotSupportedException("Post to a queue; do not wait for it.");

    /// <inheritdoc/>
    public override SynchronizationContext CreateCopy() => this;

    /// <summary>Runs what was posted, on the queue's thread.</summary>
    public void RunPosted()
    {
        Interlocked.Exchange(ref _isWoken, 0);
        while (_posted.TryDequeue(out (SendOrPostCallback Callback, object? State) work))
        {
            work.Callback(work.State);
        }
    }

    // The number of an eventfd that is closed may be another file's by now.
    private void WakeUp()
    {
        bool isHeld = false;
        try
        {
            WakeUpFile.DangerousAddRef(ref isHeld);
            ulong one = 1;
            _ = Libc.Write((int)WakeUpFile.DangerousGetHandle(), &one, sizeof(ulong));
        }
        catch (ObjectDisposedException)
        {
            // The queue has ended, and what was posted is dropped with it.
        }
        finally
        {
            if (isHeld)
            {
                WakeUpFile.DangerousRelease();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        WakeUpFile.Dispose();
        NativeMemory.Free(_wakeUpCount);
    }
}
