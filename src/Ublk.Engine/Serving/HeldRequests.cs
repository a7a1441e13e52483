using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Serving;

/// <summary>
/// The requests of one thread that arrive while its target is exchanged. They wait, and go to the next target in their order.
/// </summary>
/// <param name="former">The target whose place this takes.</param>
/// <param name="capacity">How many requests there can be at once.</param>
internal sealed class HeldRequests(BlockTarget former, int capacity) : BlockTarget
{
    private readonly List<QueueWaiter> _waiting = new(capacity);
    private BlockTarget? _next;

    /// <inheritdoc/>
    public override TargetGeometry Geometry => former.Geometry;

    /// <summary>How many wait.</summary>
    public int Count => _waiting.Count;

    /// <inheritdoc/>
    public override async IoTask<int> HandleAsync(IoRequest request)
    {
        QueueWaiter waiter = QueueWaiter.Rent();
        _waiting.Add(waiter);
        await waiter.Task;
        return await _next!.HandleAsync(request);
    }

    /// <summary>Lets the requests go on. Called on the queue's thread, once.</summary>
    /// <param name="next">What answers them.</param>
    public void Release(BlockTarget next)
    {
        _next = next;
        _waiting.ForEach(waiter => waiter.Complete(0));
    }
}
