using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>Never answers some of the requests.</summary>
internal sealed class HangEveryFilter : FilterTarget
{
    private static readonly Task<int> Never = new TaskCompletionSource<int>().Task;

    private readonly long _every;
    private long _requests;

    private HangEveryFilter(BlockTarget inner, long every)
        : base(inner) => _every = every;

    /// <summary>The catalogue's entry.</summary>
    public static FilterDefinition Definition { get; } = new(
        "HangEvery",
        "Never answers some of the requests.",
        [new TargetOption("HangEvery", TargetOptionKind.Number, "Each request of this number is never answered; 0, the default, for none.",
            IsMandatory: true)],
        (inner, options) => options.GetNumber("HangEvery") is > 0 and { } every ? new HangEveryFilter(inner, every) : inner);

    /// <inheritdoc/>
    public override ValueTask<int> HandleAsync(IoRequest request) =>
        Interlocked.Increment(ref _requests) % _every == 0 ? new ValueTask<int>(Never) : Inner.HandleAsync(request);
}
