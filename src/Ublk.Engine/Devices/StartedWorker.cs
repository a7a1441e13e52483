namespace Ublk.Devices;

/// <summary>A worker that was started and has not called its launcher yet.</summary>
/// <param name="ProcessId">Its process id; null where only the service manager knows it.</param>
internal sealed record StartedWorker(int? ProcessId) : IDisposable
{
    /// <summary>The process, where the launcher itself started it detached.</summary>
    public DetachedProcess? Process { get; init; }

    /// <summary>Whether it is known to have ended.</summary>
    public bool IsDead => ProcessId is { } id && !DeviceInventory.IsAlive(id);

    /// <inheritdoc/>
    public void Dispose() => Process?.Dispose();
}
