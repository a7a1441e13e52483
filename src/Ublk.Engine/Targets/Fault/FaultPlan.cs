using Ublk.Interop;
using Ublk.Serving;

namespace Ublk.Targets.Fault;

/// <summary>Which requests of a disk go wrong: the same ones each time, for the same seed and the same requests in the same order.</summary>
internal sealed class FaultPlan
{
    // The errnos the block layer hands on as they are; it turns every other into EIO (block/blk-core.c: blk_errors).
    private static readonly Dictionary<string, int> Errnos = new(StringComparer.OrdinalIgnoreCase)
    {
        ["EIO"] = Libc.EIO,
        ["ENODATA"] = Libc.ENODATA,
        ["ENOSPC"] = Libc.ENOSPC,
        ["ETIMEDOUT"] = Libc.ETIMEDOUT,
        ["ENOLINK"] = Libc.ENOLINK,
        ["EILSEQ"] = Libc.EILSEQ,
        ["EOPNOTSUPP"] = Libc.EOPNOTSUPP,
    };

    private readonly double _errorRate;
    private readonly int _errno;
    private readonly IoOperation[] _failing;
    private readonly ulong _seed;
    private readonly long _hangEvery;
    private long _requests;
    private long _candidates;

    /// <summary>Reads the options.</summary>
    /// <exception cref="UblkException">One of them says something about errors that are never to happen.</exception>
    public FaultPlan(TargetOptions options)
    {
        foreach (string detail in new[] { "ErrorKind", "ErrorOn", "Seed" })
        {
            if (options.GetText(detail) is not null && options.GetText("ErrorRate") is null)
            {
                throw new UblkException(UblkError.InvalidArgument,
                    $"{detail} says something about errors, but there are none without an ErrorRate.");
            }
        }

        _errorRate = options.GetFraction("ErrorRate") ?? 0;
        _errno = Errnos[options.GetText("ErrorKind") ?? "EIO"];
        _failing = [.. (options.GetChoices("ErrorOn") ?? Enum.GetNames<IoOperation>()).Select(name => Enum.Parse<IoOperation>(name, ignoreCase: true))];
        _seed = (ulong)(options.GetNumber("Seed") ?? 0);
        _hangEvery = options.GetNumber("HangEvery") ?? 0;
        Delay = TimeSpan.FromMilliseconds(options.GetNumber("Delay") ?? 0, 0);
    }

    /// <summary>The options that make a plan.</summary>
    public static IReadOnlyList<TargetOption> Options { get; } =
    [
        new("Delay", TargetOptionKind.Number, "Milliseconds each request waits before it is dealt with; 0 by default."),
        new("ErrorRate", TargetOptionKind.Fraction, "The share of requests that fail, from 0 to 1; 0 by default."),
        new("ErrorKind", TargetOptionKind.Choice, "The error they fail with; EIO by default.") { Choices = [.. Errnos.Keys] },
        new("ErrorOn", TargetOptionKind.Choices, "The operations that fail; all by default.") { Choices = Enum.GetNames<IoOperation>() },
        new("Seed", TargetOptionKind.Number, "A number that decides which requests fail; 0 by default."),
        new("HangEvery", TargetOptionKind.Number, "Each request of this number is never answered; 0, the default, for none."),
    ];

    /// <summary>How long each request waits.</summary>
    public TimeSpan Delay { get; }

    /// <summary>Whether the next request is never to be answered.</summary>
    public bool NextHangs() => _hangEvery > 0 && Interlocked.Increment(ref _requests) % _hangEvery == 0;

    /// <summary>How the next request fails.</summary>
    /// <returns>A negative errno; 0 when it does not.</returns>
    public int NextError(IoOperation operation) =>
        _errorRate > 0 && _failing.Contains(operation) && Draw(Interlocked.Increment(ref _candidates)) < _errorRate ? -_errno : 0;

    // SplitMix64: the n-th number from 0 to 1 of a seed, without a state that queues would have to share.
    private double Draw(long n)
    {
        ulong mixed = _seed + ((ulong)n * 0x9E3779B97F4A7C15);
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return ((mixed ^ (mixed >> 31)) >> 11) * (1.0 / (1L << 53));
    }
}
