namespace Ublk.Serving;

/// <summary>The loops that share a queue. The first that the driver aborts ends the others.</summary>
/// <remarks>A driver that quiesces a device does not notify a loop without an idle tag.</remarks>
internal sealed class QueueTeam
{
    private readonly Lock _lock = new();
    private readonly List<QueueLoop> _loops = [];

    /// <summary>Takes a loop in.</summary>
    public void Add(QueueLoop loop)
    {
        lock (_lock)
        {
            _loops.Add(loop);
        }
    }

    /// <summary>Removes a loop, which can then be disposed.</summary>
    public void Remove(QueueLoop loop)
    {
        lock (_lock)
        {
            _loops.Remove(loop);
        }
    }

    /// <summary>Ends every loop but one.</summary>
    public void Dismiss(QueueLoop except)
    {
        lock (_lock)
        {
            _loops.FindAll(loop => loop != except).ForEach(loop => loop.Dismiss());
        }
    }
}
