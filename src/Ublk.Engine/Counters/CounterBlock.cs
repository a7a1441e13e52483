using System.Numerics;
using System.Runtime.InteropServices;
using Ublk.Io;

namespace Ublk.Counters;

/// <summary>
/// What one thread of a queue counts, from the start of its worker on. Only that thread writes it, while others read: every
/// number only grows, and is aligned.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = Size)]
internal unsafe struct CounterBlock
{
    /// <summary>Bytes of a block: two pages.</summary>
    public const int Size = 8192;

    /// <summary>Numbers of operations, <see cref="IoOperation"/>, one of which is not used.</summary>
    public const int Operations = 6;

    /// <summary>Kinds of requests with a latency histogram each: reads, writes and the others.</summary>
    public const int Kinds = 3;

    /// <summary>Steps of times: eight for each doubling, from 32 ns to 2 minutes.</summary>
    public const int Times = 240;

    /// <summary>Steps of sizes: one for each doubling, from 512 bytes to 32 MiB.</summary>
    public const int Sizes = 17;

    // A step is an eighth of a power of two of this many bits' unit.
    private const int TimeUnitShift = 5;
    private const int StepShift = 3;
    private const int SizeShift = 9;

    /// <summary>Requests in flight.</summary>
    public long InFlight;

    /// <summary>Answered requests, by operation.</summary>
    public fixed long Requests[Operations];

    /// <summary>Those among them that failed.</summary>
    public fixed long Errors[Operations];

    /// <summary>Bytes of the requests' ranges.</summary>
    public fixed long Bytes[Operations];

    /// <summary>The longest time in nanoseconds, by kind.</summary>
    public fixed long Longest[Kinds];

    /// <summary>Requests by the time they took, kind after kind.</summary>
    public fixed long ByTime[Kinds * Times];

    /// <summary>Reads and then writes by their size.</summary>
    public fixed long BySize[2 * Sizes];

    /// <summary>The kind of an operation.</summary>
    public static int KindOf(IoOperation operation) => Math.Min((int)operation, Kinds - 1);

    /// <summary>The step of a time.</summary>
    public static int TimeStep(long nanoseconds)
    {
        ulong units = (ulong)Math.Max(nanoseconds, 0) >> TimeUnitShift;
        int power = BitOperations.Log2(units | 1);
        int step = power < StepShift
            ? (int)units
            : ((power - StepShift + 1) << StepShift) + (int)((units >> (power - StepShift)) & ((1 << StepShift) - 1));
        return Math.Min(step, Times - 1);
    }

    /// <summary>The least time of a step in nanoseconds; that of the step after the last one is its end.</summary>
    public static long LeastTime(int step)
    {
        int octave = step >> StepShift;
        long units = octave == 0
            ? step
            : (long)((1 << StepShift) + (step & ((1 << StepShift) - 1))) << (octave - 1);
        return units << TimeUnitShift;
    }

    /// <summary>The step of a size: what it is the greatest of.</summary>
    public static int SizeStep(long bytes) =>
        Math.Clamp(64 - BitOperations.LeadingZeroCount((ulong)Math.Max(bytes - 1, 0)) - SizeShift, 0, Sizes - 1);

    /// <summary>The greatest size of a step in bytes.</summary>
    public static long GreatestSize(int step) => 1L << (step + SizeShift);
}
