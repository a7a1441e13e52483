using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>A kind of filter as the catalogue knows it.</summary>
/// <param name="Name">The name users type after <c>-Filter</c>. An option of the same name takes the value that stands with it.</param>
/// <param name="Summary">One line about it.</param>
/// <param name="Options">The options it understands.</param>
/// <param name="Wrap">Puts one before a target, and disposes of neither where it throws.</param>
internal sealed record FilterDefinition(
    string Name, string Summary, IReadOnlyList<TargetOption> Options, Func<BlockTarget, TargetOptions, BlockTarget> Wrap)
{
    /// <summary>Whether the target behind is never written, so that it is opened for reading alone.</summary>
    public bool OnlyReads { get; init; }

    /// <summary>Why a worker that follows another could not go on where that one was; null where it can.</summary>
    public Func<TargetOptions, string?> WhyNotRecoverable { get; init; } = _ => null;
}
