using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>Has each request wait before it is dealt with.</summary>
internal sealed class DelayFilter : FilterTarget
{
    private readonly TimeSpan _delay;

    private DelayFilter(BlockTarget inner, TimeSpan delay)
        : base(inner) => _delay = delay;

    /// <summary>The catalogue's entry.</summary>
    public static FilterDefinition Definition { get; } = new(
        "Delay",
        "Delays each request.",
        [new TargetOption("Delay", TargetOptionKind.Number, "Milliseconds that each request waits before it is handled.",
            IsMandatory: true)],
        (inner, options) =>
            options.GetNumber("Delay") is > 0 and { } delay ? new DelayFilter(inner, TimeSpan.FromMilliseconds(delay, 0)) : inner)
    {
        IsExchangeable = true,
    };

    /// <inheritdoc/>
    public override async IoTask<int> HandleAsync(IoRequest request)
    {
        await request.Queue.DelayAsync(_delay);
        return await Inner.HandleAsync(request);
    }
}
