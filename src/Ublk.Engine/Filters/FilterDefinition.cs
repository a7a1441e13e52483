using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>A filter as the catalogue knows it.</summary>
/// <param name="Name">The name that users type after <c>-Filter</c>.</param>
/// <param name="Summary">One line about it.</param>
/// <param name="Options">Its options.</param>
/// <param name="Wrap">Puts one before a target, and disposes of neither where it throws.</param>
internal sealed record FilterDefinition(
    string Name, string Summary, IReadOnlyList<TargetOption> Options, Func<BlockTarget, TargetOptions, BlockTarget> Wrap)
    : UblkFilterDefinition(Name, Summary, Options)
{
    /// <summary>Whether the target behind is never written, so that it is opened for reading alone.</summary>
    public bool OnlyReads { get; init; }

    /// <summary>Whether it can be added to a disk in use and taken away: it keeps nothing, and the disk is the same with it.</summary>
    public bool IsExchangeable { get; init; }

    /// <summary>Why a worker that follows another could not go on where that one was; null where it can.</summary>
    public Func<TargetOptions, string?> WhyNotRecoverable { get; init; } = _ => null;
}
