namespace Ublk;

/// <summary>The end of a wait.</summary>
/// <param name="timeout">How long the wait may take; <see cref="Timeout.InfiniteTimeSpan"/> for a wait without end.</param>
/// <param name="clock">The clock; the system's monotonic one by default.</param>
internal sealed class Deadline(TimeSpan timeout, TimeProvider? clock = null)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(5);

    private readonly TimeProvider _clock = clock ?? TimeProvider.System;
    private long _start = (clock ?? TimeProvider.System).GetTimestamp();

    /// <summary>Whether the time is up.</summary>
    public bool IsOver => timeout != Timeout.InfiniteTimeSpan && _clock.GetElapsedTime(_start) >= timeout;

    /// <summary>The time that is left, zero at least; <see cref="Timeout.InfiniteTimeSpan"/> for a wait without end.</summary>
    public TimeSpan Left
    {
        get
        {
            if (timeout == Timeout.InfiniteTimeSpan)
            {
                return timeout;
            }

            TimeSpan left = timeout - _clock.GetElapsedTime(_start);
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    /// <summary>Gives the whole time again.</summary>
    public void Restart() => _start = _clock.GetTimestamp();

    /// <summary>Waits until a condition holds, which is checked every 5 ms.</summary>
    /// <param name="condition">The condition.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <returns>False when the time is up and the condition does not hold.</returns>
    /// <exception cref="OperationCanceledException">The wait was cancelled.</exception>
    public bool Wait(Func<bool> condition, CancellationToken cancellation = default)
    {
        while (!condition())
        {
            if (IsOver)
            {
                return false;
            }

            cancellation.WaitHandle.WaitOne(PollInterval);
            cancellation.ThrowIfCancellationRequested();
        }

        return true;
    }
}
