using Ublk.Interop;
using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>Fails a share of the requests: the same ones each time, for the same seed and the same requests in the same order.</summary>
internal sealed class ErrorRateFilter : FilterTarget
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

    private readonly double _rate;
    private readonly int _errno;
    private readonly IoOperation[] _failing;
    private readonly ulong _seed;
    private long _candidates;

    private ErrorRateFilter(BlockTarget inner, TargetOptions options)
        : base(inner)
    {
        _rate = options.GetFraction("ErrorRate") ?? 0;
        _errno = Errnos[options.GetText("ErrorKind") ?? "EIO"];
        _failing = [.. (options.GetChoices("ErrorOn") ?? Enum.GetNames<IoOperation>())
            .Select(name => Enum.Parse<IoOperation>(name, ignoreCase: true))];
        _seed = (ulong)(options.GetNumber("Seed") ?? 0);
    }

    /// <summary>The catalogue's entry.</summary>
    public static FilterDefinition Definition { get; } = new(
        "ErrorRate",
        "Fails a share of the requests.",
        [
            new TargetOption("ErrorRate", TargetOptionKind.Fraction, "The share of requests that fail, from 0 to 1.",
                IsMandatory: true),
            new TargetOption("ErrorKind", TargetOptionKind.Choice,
                "The errno of failed requests; EIO by default.") { Choices = [.. Errnos.Keys] },
            new TargetOption("ErrorOn", TargetOptionKind.Choices,
                "The operations that fail; all by default.") { Choices = Enum.GetNames<IoOperation>() },
            new TargetOption("Seed", TargetOptionKind.Number, "The seed of the random choice of requests that fail; 0 by default."),
        ],
        Wrap)
    {
        IsExchangeable = true,
    };

    /// <inheritdoc/>
    public override IoTask<int> HandleAsync(IoRequest request) =>
        _failing.Contains(request.Operation) && Draw(Interlocked.Increment(ref _candidates)) < _rate
            ? -_errno
            : Inner.HandleAsync(request);

    private static BlockTarget Wrap(BlockTarget inner, TargetOptions options) =>
        options.GetFraction("ErrorRate") > 0 ? new ErrorRateFilter(inner, options) : inner;

    // SplitMix64: the n-th number from 0 to 1 of a seed, without a state that queues would have to share.
    private double Draw(long n)
    {
        ulong mixed = _seed + ((ulong)n * 0x9E3779B97F4A7C15);
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return ((mixed ^ (mixed >> 31)) >> 11) * (1.0 / (1L << 53));
    }
}
