using Ublk.Rings;

namespace Ublk.Targets.Rbd;

/// <summary>One request of librbd, used again when its result was taken.</summary>
/// <param name="queue">Where it belongs.</param>
/// <param name="index">Its place there, which its completion carries.</param>
internal sealed class RbdCommand(RbdCommandQueue queue, int index) : ReusableTask
{
    /// <summary>Its place among the commands of the queue.</summary>
    public int Index => index;

    /// <summary>The next one that is free.</summary>
    public RbdCommand? Next { get; set; }

    /// <inheritdoc/>
    protected override void Recycle() => queue.Return(this);
}
