using Ublk.Interop;

namespace Ublk.Io;

/// <summary>
/// One operation in flight on a ring, awaitable once; reused for the next when its result was taken. The result is what the operation
/// returns, or a negative errno.
/// </summary>
internal sealed class RingOperation(RingOperationPool pool, int index) : ReusableTask<int>
{
    /// <summary>The operation's index in the pool, which its entry carries through the kernel.</summary>
    public int Index { get; } = index;

    /// <summary>A time for the kernel to read when it takes the entry.</summary>
    public KernelTimespec[] Time { get; } = GC.AllocateArray<KernelTimespec>(1, pinned: true);

    /// <summary>The next free operation while this one is free.</summary>
    public RingOperation? NextFree { get; set; }

    /// <inheritdoc/>
    protected override void Recycle() => pool.Return(this);
}
