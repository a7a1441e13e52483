using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;

namespace Ublk.Rings;

/// <summary>A result that is awaited once. The object is used again for the next one, so that nothing is allocated.</summary>
/// <remarks>Everything happens on one thread, so a continuation runs inline when the result is there.</remarks>
internal abstract class ReusableTask : IValueTaskSource<int>
{
    private Action<object?>? _continuation;
    private object? _state;
    private int _result;
    private short _version;
    private bool _completed;

    /// <summary>The result to await, once.</summary>
    public ValueTask<int> Task => new(this, _version);

    /// <summary>Resumes the method that awaits the result.</summary>
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
        Recycle();
        return result;
    }

    /// <summary>The result was taken: the object may be used for the next one.</summary>
    protected abstract void Recycle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Check(short token)
    {
        if (token != _version)
        {
            throw new InvalidOperationException("A result was awaited twice.");
        }
    }
}
