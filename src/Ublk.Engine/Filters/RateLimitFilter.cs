using System.Diagnostics;
using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>Limits the bytes and the requests in a second.</summary>
internal sealed class RateLimitFilter : FilterTarget
{
    /// <summary>The option that sets for how long an idle disk may catch up.</summary>
    public const string BurstOption = "LimitBurst";

    /// <summary>The longest burst, in milliseconds: an hour, of no use for a limit and far from any overflow.</summary>
    public const int MaxBurst = 3_600_000;

    private const int DefaultBurst = 100;

    // How long a request waits at most after the filter was removed.
    private static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(100);

    private readonly RateBudget[] _readBytes;
    private readonly RateBudget[] _readRequests;
    private readonly RateBudget[] _otherBytes;
    private readonly RateBudget[] _otherRequests;
    private volatile bool _isRetired;

    private RateLimitFilter(BlockTarget inner, TargetOptions options)
        : base(inner)
    {
        TimeSpan burst = TimeSpan.FromMilliseconds(options.GetNumber(BurstOption) ?? DefaultBurst);
        RateBudget[] bytes = Budgets("RateLimit");
        RateBudget[] requests = Budgets("RequestLimit");
        _readBytes = [.. bytes, .. Budgets("ReadLimit")];
        _readRequests = [.. requests, .. Budgets("ReadRequestLimit")];
        _otherBytes = [.. bytes, .. Budgets("WriteLimit")];
        _otherRequests = [.. requests, .. Budgets("WriteRequestLimit")];

        RateBudget[] Budgets(string option) => options.GetNumber(option) is { } limit ? [new RateBudget(limit, burst)] : [];
    }

    /// <summary>The options that are limits, all of them numbers a second.</summary>
    public static IReadOnlyList<TargetOption> Limits { get; } =
    [
        new TargetOption("RateLimit", TargetOptionKind.Size,
            "The limit of reads and writes together, in bytes per second; unlimited by default."),
        new TargetOption("RequestLimit", TargetOptionKind.Number, "The limit in requests per second; unlimited by default."),
        new TargetOption("ReadLimit", TargetOptionKind.Size, "The limit of reads, in bytes per second; unlimited by default."),
        new TargetOption("WriteLimit", TargetOptionKind.Size, "The limit of writes, in bytes per second; unlimited by default."),
        new TargetOption("ReadRequestLimit", TargetOptionKind.Number, "The limit of reads per second; unlimited by default."),
        new TargetOption("WriteRequestLimit", TargetOptionKind.Number,
            "The limit of all other requests per second; unlimited by default."),
    ];

    /// <summary>The catalogue's entry.</summary>
    public static FilterDefinition Definition { get; } = new(
        "RateLimit",
        "Limits the throughput or the request rate.",
        [
            .. Limits,
            new TargetOption(BurstOption, TargetOptionKind.Number,
                "Milliseconds of idle time that the disk may make up for at once; 100 by default, 3600000 at most."),
        ],
        Wrap)
    {
        IsExchangeable = true,
    };

    /// <inheritdoc/>
    public override IoTask<int> HandleAsync(IoRequest request)
    {
        bool isRead = request.Operation == IoOperation.Read;
        long wait = long.Max(
            Reserve(isRead ? _readBytes : _otherBytes, request.Buffer.Length), Reserve(isRead ? _readRequests : _otherRequests, 1));
        return wait > 0 ? HandleLateAsync(request, Stopwatch.GetTimestamp() + wait) : Inner.HandleAsync(request);
    }

    /// <inheritdoc/>
    internal override void Retire() => _isRetired = true;

    private static RateLimitFilter Wrap(BlockTarget inner, TargetOptions options)
    {
        if (options.GetNumber(BurstOption) > MaxBurst)
        {
            throw new UblkException(UblkError.InvalidArgument, $"{BurstOption} must be {MaxBurst} ms (one hour) at most.");
        }

        long?[] limits = [.. Limits.Select(limit => options.GetNumber(limit.Name)).Where(limit => limit is not null)];
        return limits is [] || limits.Contains(0)
            ? throw new UblkException(UblkError.InvalidArgument,
                $"The RateLimit filter needs one of {string.Join(", ", Limits.Select(limit => limit.Name))}, of 1 or more.")
            : new RateLimitFilter(inner, options);
    }

    private static long Reserve(RateBudget[] budgets, long units)
    {
        long wait = 0;
        foreach (RateBudget budget in budgets)
        {
            wait = long.Max(wait, budget.Reserve(units));
        }

        return wait;
    }

    private async IoTask<int> HandleLateAsync(IoRequest request, long end)
    {
        while (!_isRetired && end - Stopwatch.GetTimestamp() is > 0 and var left)
        {
            TimeSpan wait = Stopwatch.GetElapsedTime(0, left);
            await request.Queue.DelayAsync(wait < LongestWait ? wait : LongestWait);
        }

        return await Inner.HandleAsync(request);
    }
}
