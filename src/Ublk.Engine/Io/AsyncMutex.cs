namespace Ublk.Io;

/// <summary>One at a time, first come first served, across awaits and queues.</summary>
internal sealed class AsyncMutex
{
    private readonly Lock _lock = new();
    private QueueWaiter? _first;
    private QueueWaiter? _last;
    private bool _isTaken;

    /// <summary>Waits for its turn, which lasts until a <see cref="Turn"/> is disposed of.</summary>
    /// <returns>Always 0.</returns>
    public IoTask<int> EnterAsync()
    {
        lock (_lock)
        {
            if (!_isTaken)
            {
                _isTaken = true;
                return 0;
            }

            QueueWaiter waiter = QueueWaiter.Rent();
            if (_last is null)
            {
                _first = waiter;
            }
            else
            {
                _last.Next = waiter;
            }

            _last = waiter;
            return waiter.Task;
        }
    }

    // Lets the next one in.
    private void Exit()
    {
        QueueWaiter? next;
        lock (_lock)
        {
            next = _first;
            if (next is null)
            {
                _isTaken = false;
                return;
            }

            _first = next.Next;
            next.Next = null;
            if (_first is null)
            {
                _last = null;
            }
        }

        next.Wake(0);
    }

    /// <summary>The turn of the caller that has entered.</summary>
    /// <param name="mutex">What it has entered.</param>
    public readonly struct Turn(AsyncMutex mutex) : IDisposable
    {
        /// <summary>Ends the turn.</summary>
        public void Dispose() => mutex.Exit();
    }
}
