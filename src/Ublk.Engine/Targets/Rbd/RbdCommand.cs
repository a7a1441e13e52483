using Ublk.Io;

namespace Ublk.Targets.Rbd;

/// <summary>One request to librbd. The queue reuses it after its result has been read.</summary>
/// <param name="queue">The queue that owns it.</param>
/// <param name="index">Its index in the queue; librbd returns it with the completion.</param>
internal sealed class RbdCommand(RbdCommandQueue queue, int index) : ReusableTask<int>
{
    /// <summary>Its index in the queue.</summary>
    public int Index => index;

    /// <summary>The next free command.</summary>
    public RbdCommand? Next { get; set; }

    /// <inheritdoc/>
    protected override void Recycle() => queue.Return(this);
}
