using Ublk.Workers;

namespace Ublk.Launching;

/// <summary>One report of a starting worker to its launcher.</summary>
internal sealed record WorkerReport
{
    /// <summary>How far the worker is.</summary>
    public required WorkerStage Stage { get; init; }

    /// <summary>The control commands that the worker sent since its last report, with their results.</summary>
    public IReadOnlyList<string> Commands { get; init; } = [];

    /// <summary>What the user should know although the device works; with <see cref="WorkerStage.Ready"/>.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>What went wrong; with <see cref="WorkerStage.Failed"/>.</summary>
    public WorkerFailure? Failure { get; init; }
}

/// <summary>How far a starting worker is.</summary>
internal enum WorkerStage
{
    /// <summary>It has opened the target.</summary>
    Opened,

    /// <summary>The device is added to the driver.</summary>
    Added,

    /// <summary>Every queue waits for requests: the launcher may start the device.</summary>
    Ready,

    /// <summary>It has undone what it did and ends.</summary>
    Failed,

    /// <summary>It is still opening the target, and gets on with it.</summary>
    Opening,
}
