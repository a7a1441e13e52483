using Ublk.Rings;

namespace Ublk.Io;

/// <summary>A request that waits for another one, perhaps of another queue, and goes on on its own queue's thread.</summary>
internal sealed class QueueWaiter : ReusableTask
{
    [ThreadStatic]
    private static QueueWaiter? t_free;

    private static readonly SendOrPostCallback s_complete = static state =>
    {
        QueueWaiter waiter = (QueueWaiter)state!;
        waiter.Complete(waiter._wakeResult);
    };

    private IoQueue? _queue;
    private int _wakeResult;

    /// <summary>The next in the list this is in.</summary>
    public QueueWaiter? Next { get; set; }

    /// <summary>A waiter for a request of a queue; on that queue's thread.</summary>
    public static QueueWaiter Rent(IoQueue? queue)
    {
        QueueWaiter waiter = t_free ?? new QueueWaiter();
        t_free = waiter.Next;
        waiter.Next = null;
        waiter._queue = queue
            ?? throw new InvalidOperationException("A wait needs a queue; there is none while the image is opened or closed.");
        return waiter;
    }

    /// <summary>Has the request go on with a result. Callable from any thread.</summary>
    public void Wake(int result)
    {
        _wakeResult = result;
        _queue!.Post(s_complete, this);
    }

    /// <summary>Wakes a whole list.</summary>
    public static void WakeAll(QueueWaiter? list, int result)
    {
        while (list is { } waiter)
        {
            list = waiter.Next;
            waiter.Next = null;
            waiter.Wake(result);
        }
    }

    /// <inheritdoc/>
    protected override void Recycle()
    {
        _queue = null;
        Next = t_free;
        t_free = this;
    }
}
