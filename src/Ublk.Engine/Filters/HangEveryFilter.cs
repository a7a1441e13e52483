using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>Leaves some of the requests unanswered as long as it is there.</summary>
internal sealed class HangEveryFilter : FilterTarget
{
    private readonly TaskCompletionSource _retired = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly long _every;
    private long _requests;

    private HangEveryFilter(BlockTarget inner, long every)
        : base(inner) => _every = every;

    /// <summary>The catalogue's entry.</summary>
    public static FilterDefinition Definition { get; } = new(
        "HangEvery",
        "Leaves some requests unanswered.",
        [new TargetOption("HangEvery", TargetOptionKind.Number, "Every Nth request is not answered until the filter is removed.",
            IsMandatory: true)],
        (inner, options) => options.GetNumber("HangEvery") is > 0 and { } every ? new HangEveryFilter(inner, every) : inner)
    {
        IsExchangeable = true,
    };

    /// <inheritdoc/>
    public override IoTask<int> HandleAsync(IoRequest request) =>
        Interlocked.Increment(ref _requests) % _every == 0 ? HangAsync(request) : Inner.HandleAsync(request);

    /// <inheritdoc/>
    internal override void Retire() => _retired.SetResult();

    private async IoTask<int> HangAsync(IoRequest request)
    {
        await _retired.Task;
        return await Inner.HandleAsync(request);
    }
}
