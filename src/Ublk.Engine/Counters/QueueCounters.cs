using System.Diagnostics;
using Ublk.Io;

namespace Ublk.Counters;

/// <summary>Counts the requests of a queue's thread. Used on that thread alone.</summary>
/// <remarks>
/// The clock is read twice a turn, not for each request: what comes in one turn arrives together, and what is answered
/// in one turn leaves together with the next io_uring_enter.
/// </remarks>
internal sealed unsafe class QueueCounters
{
    private readonly CounterBlock* _block;
    private readonly long[] _arrivals;
    private readonly IoRequest[] _answered;
    private int _answeredCount;
    private long _now;

    /// <summary>Counts into a block.</summary>
    /// <param name="block">Where; it outlives this.</param>
    /// <param name="slots">How many requests the thread has at once.</param>
    public QueueCounters(CounterBlock* block, int slots)
    {
        _block = block;
        _arrivals = new long[slots];
        _answered = new IoRequest[slots];
    }

    /// <summary>Requests may arrive from now on.</summary>
    public void BeginTurn() => _now = Stopwatch.GetTimestamp();

    /// <summary>A request has arrived.</summary>
    public void Arrive(IoRequest request)
    {
        _arrivals[request.Slot] = _now;
        _block->InFlight++;
    }

    /// <summary>A request is answered. Its range must stay as it is until the turn ends.</summary>
    public void Answer(IoRequest request, int result)
    {
        _answered[_answeredCount++] = request;
        if (result < 0)
        {
            _block->Errors[(int)request.Operation]++;
        }
    }

    /// <summary>The answers of this turn go to the driver now.</summary>
    public void EndTurn()
    {
        if (_answeredCount == 0)
        {
            return;
        }

        long now = Stopwatch.GetTimestamp();
        for (int index = 0; index < _answeredCount; index++)
        {
            IoRequest request = _answered[index];
            Count(request, Nanoseconds(now - _arrivals[request.Slot]));
        }

        _block->InFlight -= _answeredCount;
        _answeredCount = 0;
    }

    private static long Nanoseconds(long ticks) => ticks * (1_000_000_000 / Stopwatch.Frequency);

    private void Count(IoRequest request, long time)
    {
        int operation = (int)request.Operation;
        int kind = CounterBlock.KindOf(request.Operation);
        _block->Requests[operation]++;
        _block->Bytes[operation] += request.Length;
        _block->ByTime[(kind * CounterBlock.Times) + CounterBlock.TimeStep(time)]++;
        _block->Longest[kind] = Math.Max(_block->Longest[kind], time);
        if (kind < CounterBlock.Kinds - 1)
        {
            _block->BySize[(kind * CounterBlock.Sizes) + CounterBlock.SizeStep(request.Length)]++;
        }
    }
}
