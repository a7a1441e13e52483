using System.Runtime.ExceptionServices;
using Ublk.Control;
using Ublk.Interop;

namespace Ublk.Serving;

/// <summary>A thread of one queue, bound to its CPUs.</summary>
internal sealed class QueueThread
{
    // The data path needs little; the default of 8 MiB a thread would only count against limits.
    private const int StackSize = 256 << 10;

    private static readonly TimeSpan CheckInterval = TimeSpan.FromMilliseconds(20);

    private readonly QueueShare _share;
    private readonly Action<Exception> _onFatal;
    private readonly TaskCompletionSource _ready = new();
    private Thread? _thread;
    private QueueLoop? _loop;

    /// <summary>Describes a thread that is not started yet.</summary>
    public QueueThread(QueueShare share, CpuSet cpus, Action<Exception> onFatal)
    {
        _share = share;
        Cpus = cpus;
        _onFatal = onFatal;
    }

    /// <summary>The queue.</summary>
    public int QueueId => _share.QueueId;

    /// <summary>The kernel's id of the thread.</summary>
    public int ThreadId { get; private set; }

    /// <summary>The CPUs it may run on.</summary>
    public CpuSet Cpus { get; }

    /// <summary>Starts the thread; returns when its loop has fetched its tags.</summary>
    /// <param name="open">Makes the loop, on the new thread.</param>
    /// <exception cref="UblkException">The loop could not be made; the thread ends.</exception>
    public void Start(Func<QueueLoop> open)
    {
        _thread = new Thread(() => Run(open), StackSize) { Name = $"queue {_share}", IsBackground = true };
        _thread.Start();
        _ready.Task.GetAwaiter().GetResult();
    }

    /// <summary>Has the thread do something between two requests, and waits for it. Callable from any other thread.</summary>
    /// <returns>Whether the thread did it; false when it has ended.</returns>
    /// <exception cref="UblkException">What the thread does throws that.</exception>
    public bool TryInvoke(Action<QueueLoop> action)
    {
        using ManualResetEventSlim done = new();
        ExceptionDispatchInfo? failure = null;
        _loop!.Post(() =>
        {
            try
            {
                action(_loop);
            }
            catch (Exception exception)
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }

            done.Set();
        });
        while (!done.Wait(CheckInterval))
        {
            // What was posted to a thread that ends may never be done.
            if (_thread!.Join(TimeSpan.Zero) && !done.IsSet)
            {
                return false;
            }
        }

        failure?.Throw();
        return true;
    }

    /// <summary>Waits until the thread has ended.</summary>
    public void Join() => _thread?.Join();

    private void Run(Func<QueueLoop> open)
    {
        QueueLoop loop;
        try
        {
            ThreadId = Libc.GetThreadId();

            // Memory that serving takes must not wait for the disk that is served. Without the right to say so it serves all the same.
            _ = Libc.PrCtl(Libc.PR_SET_IO_FLUSHER, 1, 0, 0, 0);
            Cpus.Bind(0);
            _loop = loop = open();
        }
        catch (Exception exception)
        {
            _ready.SetException(exception);
            return;
        }

        _ready.SetResult();
        try
        {
            loop.Run();
            loop.Dispose();
        }
        catch (Exception exception)
        {
            // A queue without its thread would leave requests waiting for ever: nothing but ending the process helps.
            _onFatal(exception);
        }
    }
}
