using Ublk.Rings;

namespace Ublk.Io;

/// <summary>A request that waits for another one, perhaps of another queue, and goes on on its own queue's thread.</summary>
internal sealed class QueueWaiter : ReusableTask<int>
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

    /// <summary>A waiter for a request of the calling thread's queue.</summary>
    /// <exception cref="InvalidOperationException">The thread has no queue: nothing can resume what would wait.</exception>
    public static QueueWaiter Rent()
    {
        QueueWaiter waiter = t_free ?? new QueueWaiter();
        t_free = waiter.Next;
        waiter.Next = null;
        waiter._queue = IoQueue.Current ?? throw new InvalidOperationException("A thread without a queue cannot wait.");
        return waiter;
    }

    /// <summary>A waiter as <see cref="Rent"/> gives it, in front of a list.</summary>
    /// <returns>The task to await.</returns>
    public static IoTask<int> Join(ref QueueWaiter? list)
    {
        QueueWaiter waiter = Rent();
        waiter.Next = list;
        list = waiter;
        return waiter.Task;
    }

    /// <summary>Empties a list.</summary>
    /// <returns>Its waiters, to be woken outside of the lock that protects it.</returns>
    public static QueueWaiter? TakeAll(ref QueueWaiter? list)
    {
        QueueWaiter? waiters = list;
        list = null;
        return waiters;
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
