namespace Ublk.Workers;

/// <summary>How long a worker may take, and how often it reports progress.</summary>
internal static class WorkerTimeouts
{
    /// <summary>How long a start may take without progress before it is given up and undone.</summary>
    public static TimeSpan Start { get; } = TimeSpan.FromSeconds(30);

    /// <summary>How often a worker that opens its target reports progress: well below the time a launcher waits for a sign.</summary>
    public static TimeSpan ProgressInterval { get; } = TimeSpan.FromSeconds(2);

    /// <summary>How long a worker may clean up after it was asked to stop.</summary>
    public static TimeSpan Stop { get; } = TimeSpan.FromSeconds(30);
}
