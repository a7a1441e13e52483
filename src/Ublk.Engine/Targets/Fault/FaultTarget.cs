using Ublk.Filters;
using Ublk.Targets.Loop;

namespace Ublk.Targets.Fault;

/// <summary>A loop disk that is slow, fails or hangs as it is told, to test what stands on it: the filters that do so, with their options as its own.</summary>
internal static class FaultTarget
{
    // A request meets the last one first.
    private static readonly FilterDefinition[] s_filters = [ErrorFilter.Definition, DelayFilter.Definition, HangFilter.Definition];

    /// <summary>The catalogue's entry.</summary>
    public static TargetDefinition Definition { get; } = new(
        "Fault",
        "Serves a file, and is slow, fails or hangs as told.",
        [.. LoopTarget.Definition.Options, .. s_filters.SelectMany(filter => filter.Options).Select(option => option with { IsMandatory = false })],
        Open)
    {
        OpenStorage = (options, readOnly) => new LoopStorage(options, readOnly),
        ServesBytes = true,
    };

    /// <summary>Opens a disk with faults.</summary>
    /// <exception cref="UblkException">The options contradict each other, or the file cannot back a disk.</exception>
    public static BlockTarget Open(TargetOptions options)
    {
        BlockTarget target = LoopTarget.Open(options);
        try
        {
            foreach (FilterDefinition filter in s_filters)
            {
                target = filter.Wrap(target, options);
            }

            return target;
        }
        catch
        {
            target.Dispose();
            throw;
        }
    }
}
