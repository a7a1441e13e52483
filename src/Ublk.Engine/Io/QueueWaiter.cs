using System.Threading.Tasks.Sources;

namespace Ublk.Io;

/// <summary>A request that waits for another one, perhaps of another queue, and goes on on its own queue's thread.</summary>
internal sealed class QueueWaiter : IValueTaskSource<int>
{
    [ThreadStatic]
    private static QueueWaiter? t_free;

    private static readonly SendOrPostCallback s_complete = static waiter => ((QueueWaiter)waiter!).Complete();

    private IoQueue? _queue;
    private Action<object?>? _continuation;
    private object? _state;
    private int _result;
    private short _version;
    private bool _completed;

    /// <summary>The next in the list this is in.</summary>
    public QueueWaiter? Next { get; set; }

    /// <summary>What to await, once and at once.</summary>
    public ValueTask<int> Task => new(this, _version);

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
        _result = result;
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

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) =>
        _completed ? ValueTaskSourceStatus.Succeeded : ValueTaskSourceStatus.Pending;

    void IValueTaskSource<int>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        _continuation = continuation;
        _state = state;
    }

    int IValueTaskSource<int>.GetResult(short token)
    {
        int result = _result;
        _completed = false;
        _version++;
        _queue = null;
        Next = t_free;
        t_free = this;
        return result;
    }

    private void Complete()
    {
        _completed = true;
        Action<object?>? continuation = _continuation;
        object? state = _state;
        _continuation = null;
        _state = null;
        continuation!(state);
    }
}
