using System.Diagnostics;
using System.Runtime.CompilerServices;
using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>Limits the bytes or the requests in a second.</summary>
internal sealed class RateLimitFilter : FilterTarget
{
    // What a disk that was idle may do at once.
    private static readonly long Burst = Stopwatch.Frequency / 10;

    private readonly double _ticksPerByte;
    private readonly double _ticksPerRequest;
    private long _next;

    private RateLimitFilter(BlockTarget inner, long? bytes, long? requests)
        : base(inner)
    {
        _ticksPerByte = bytes is { } b ? (double)Stopwatch.Frequency / b : 0;
        _ticksPerRequest = requests is { } r ? (double)Stopwatch.Frequency / r : 0;
    }

    /// <summary>The catalogue's entry.</summary>
    public static FilterDefinition Definition { get; } = new(
        "RateLimit",
        "Lets through only so much in a second.",
        [
            new TargetOption("RateLimit", TargetOptionKind.Size, "Bytes in a second, of reads and writes together; any number by default."),
            new TargetOption("RequestLimit", TargetOptionKind.Number, "Requests in a second; any number by default."),
        ],
        Wrap);

    /// <inheritdoc/>
    public override ValueTask<int> HandleAsync(IoRequest request)
    {
        long cost = (long)(_ticksPerRequest + (_ticksPerByte * request.Buffer.Length));
        long wait = Reserve(cost);
        return wait > 0 ? HandleLateAsync(request, Stopwatch.GetElapsedTime(0, wait)) : Inner.HandleAsync(request);
    }

    private static RateLimitFilter Wrap(BlockTarget inner, TargetOptions options)
    {
        long? bytes = options.GetNumber("RateLimit");
        long? requests = options.GetNumber("RequestLimit");
        return bytes is null && requests is null || bytes == 0 || requests == 0
            ? throw new UblkException(UblkError.InvalidArgument,
                "The RateLimit filter needs a RateLimit or a RequestLimit, of 1 or more in a second.")
            : new RateLimitFilter(inner, bytes, requests);
    }

    // The queues share one point in time, at which what was let through is paid for; a request waits for it, and moves it on.
    private long Reserve(long cost)
    {
        while (true)
        {
            long now = Stopwatch.GetTimestamp();
            long next = Volatile.Read(ref _next);
            long start = long.Max(next, now - Burst);
            if (Interlocked.CompareExchange(ref _next, start + cost, next) == next)
            {
                return start + cost - now;
            }
        }
    }

    [AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
    private async ValueTask<int> HandleLateAsync(IoRequest request, TimeSpan wait)
    {
        await request.Queue.DelayAsync(wait);
        return await Inner.HandleAsync(request);
    }
}
