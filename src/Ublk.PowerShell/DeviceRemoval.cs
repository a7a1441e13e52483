using System.Collections.Concurrent;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Lifecycle;

namespace Ublk.PowerShell;

/// <summary>The removal of a device that is not in use, on a thread of its own.</summary>
internal sealed class DeviceRemoval : IDisposable
{
    private readonly BlockingCollection<(string Text, bool IsCommand)> _messages = [];
    private readonly Task _task;

    /// <summary>Begins the removal.</summary>
    /// <param name="id">The device.</param>
    /// <param name="noWait">Whether to return as soon as the disk is gone, while the worker still ends.</param>
    /// <param name="removed">The device as it was, if the user wants to see it.</param>
    /// <param name="cancellation">Gives up between steps.</param>
    public DeviceRemoval(int id, bool noWait, UblkDevice? removed, CancellationToken cancellation)
    {
        Id = id;
        Removed = removed;
        _task = Task.Factory.StartNew(
            () => Run(noWait, cancellation), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <summary>The device.</summary>
    public int Id { get; }

    /// <summary>The device as it was, if the user wants to see it.</summary>
    public UblkDevice? Removed { get; }

    /// <summary>Whether other removals had not ended when it began.</summary>
    public bool FollowsOthers { get; init; }

    /// <summary>Waits for the end of the removal.</summary>
    /// <param name="step">Called with a sentence for each step, on the calling thread.</param>
    /// <exception cref="UblkException">The device could not be removed.</exception>
    /// <exception cref="OperationCanceledException">It was given up.</exception>
    public void Finish(Action<string> step)
    {
        foreach ((string text, bool isCommand) in _messages.GetConsumingEnumerable(CancellationToken.None))
        {
            if (isCommand)
            {
                ControlTrace.Listener?.Invoke(text);
            }
            else
            {
                step(text);
            }
        }

        _task.GetAwaiter().GetResult();
    }

    /// <summary>Waits for the end, whatever it is.</summary>
    public void Dispose()
    {
        ((IAsyncResult)_task).AsyncWaitHandle.WaitOne();
        _messages.Dispose();
    }

    private void Run(bool noWait, CancellationToken cancellation)
    {
        ControlTrace.Listener = text => _messages.Add((text, true));
        try
        {
            DeviceRemover.Remove(Id, force: false, noWait, text => _messages.Add((text, false)), cancellation);
        }
        finally
        {
            ControlTrace.Listener = null;
            _messages.CompleteAdding();
        }
    }
}
