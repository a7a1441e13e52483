using Ublk.Devices;

namespace Ublk.Workers;

/// <summary>A worker that was started and has not called its launcher yet.</summary>
/// <param name="processId">Its process id; null where only the service manager knows it.</param>
internal sealed class StartedWorker(int? processId) : IDisposable
{
    private bool _isAsked;
    private int? _mainProcess;

    /// <summary>Its process id; null where only the service manager knows it.</summary>
    public int? ProcessId => processId;

    /// <summary>The process, where the launcher itself started it detached.</summary>
    public DetachedProcess? Process { get; init; }

    /// <summary>Asks the service manager for the main process of the worker's unit: 0 when that has ended; null where it does not answer.</summary>
    public Func<int?>? FindMainProcess { get; init; }

    /// <summary>Whether it is known to have ended.</summary>
    public bool IsDead => (processId ?? MainProcess()) is { } id && !DeviceInventory.IsAlive(id);

    /// <inheritdoc/>
    public void Dispose() => Process?.Dispose();

    // Asked once, and only of a worker that keeps its launcher waiting: it takes another program.
    private int? MainProcess()
    {
        _mainProcess = _isAsked ? _mainProcess : FindMainProcess?.Invoke();
        _isAsked = true;
        return _mainProcess;
    }
}
