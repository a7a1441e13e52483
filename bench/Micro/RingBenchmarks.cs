using BenchmarkDotNet.Attributes;
using Ublk.Interop;
using Ublk.Rings;

namespace Ublk.Micro;

/// <summary>The ring alone: no-operations prepared, submitted in one system call, and reaped.</summary>
public class RingBenchmarks
{
    private Ring _ring = null!;

    /// <summary>Operations of a turn.</summary>
    [Params(1, 64)]
    public int Operations { get; set; }

    /// <summary>Makes the ring.</summary>
    [GlobalSetup]
    public void Setup() => _ring = Ring.CreateForQueue(64, 128);

    /// <summary>Closes the ring.</summary>
    [GlobalCleanup]
    public void Cleanup() => _ring.Dispose();

    /// <summary>One turn.</summary>
    [Benchmark]
    public unsafe int NoOps()
    {
        for (int i = 0; i < Operations; i++)
        {
            // A cleared entry is IORING_OP_NOP.
            _ = _ring.NextEntry();
        }

        int reaped = 0;
        while (reaped < Operations)
        {
            _ = _ring.Enter(1, Timeout.InfiniteTimeSpan);
            while (_ring.TryReap(out IoUringCqe completion))
            {
                reaped++;
            }
        }

        return reaped;
    }
}
