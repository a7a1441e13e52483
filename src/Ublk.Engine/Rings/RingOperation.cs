using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;
using Ublk.Interop;

namespace Ublk.Rings;

/// <summary>One operation under way on a ring, awaitable once; reused for the next when its result was taken.</summary>
/// <remarks>Everything happens on the ring's thread, so a continuation runs inline when the completion is reaped.</remarks>
internal sealed class RingOperation(RingOperationPool pool, int index) : IValueTaskSource<int>
{
    private Action<object?>? _continuation;
    private object? _state;
    private int _result;
    private short _version;
    private bool _completed;

    /// <summary>The operation's place in the pool, which its entry carries through the kernel.</summary>
    public int Index { get; } = index;

    /// <summary>A time for the kernel to read when it takes the entry.</summary>
    public KernelTimespec[] Time { get; } = GC.AllocateArray<KernelTimespec>(1, pinned: true);

    /// <summary>The next free operation while this one is free.</summary>
    public RingOperation? NextFree { get; set; }

    /// <summary>The awaitable result: what the operation returns, or a negative errno.</summary>
    public ValueTask<int> Task => new(this, _version);

    /// <summary>Resumes the method that awaits the operation.</summary>
    public void Complete(int result)
    {
        _result = result;
        _completed = true;
        if (_continuation is { } continuation)
        {
            object? state = _state;
            _continuation = null;
            _state = null;
            continuation(state);
        }
    }

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token)
    {
        Check(token);
        return _completed ? ValueTaskSourceStatus.Succeeded : ValueTaskSourceStatus.Pending;
    }

    void IValueTaskSource<int>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        Check(token);
        if (_completed)
        {
            continuation(state);
            return;
        }

        _continuation = continuation;
        _state = state;
    }

    int IValueTaskSource<int>.GetResult(short token)
    {
        Check(token);
        int result = _result;
        _completed = false;
        _version++;
        pool.Return(this);
        return result;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Check(short token)
    {
        if (token != _version)
        {
            throw new InvalidOperationException("A ring operation was awaited twice.");
        }
    }
}
