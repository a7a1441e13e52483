using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Threading.Tasks.Sources;

namespace Ublk.Rings;

/// <summary>A result that is awaited once. The object is used again for the next one, so that nothing is allocated.</summary>
/// <remarks>Everything happens on one thread, so a continuation runs inline when the result is there.</remarks>
/// <typeparam name="TResult">The result.</typeparam>
internal abstract class ReusableTask<TResult> : IValueTaskSource<TResult>
{
    private Action<object?>? _continuation;
    private object? _state;
    private Exception? _exception;
    private TResult? _result;
    private short _version;
    private bool _completed;

    /// <summary>The result to await, once.</summary>
    public ValueTask<TResult> Task => new(this, _version);

    /// <summary>Resumes the method that awaits the result.</summary>
    public void Complete(TResult result)
    {
        _result = result;
        Resume();
    }

    /// <summary>Resumes the method that awaits the result, with an exception.</summary>
    public void Fail(Exception exception)
    {
        _exception = exception;
        Resume();
    }

    ValueTaskSourceStatus IValueTaskSource<TResult>.GetStatus(short token)
    {
        Check(token);
        return !_completed ? ValueTaskSourceStatus.Pending
            : _exception is null ? ValueTaskSourceStatus.Succeeded
            : ValueTaskSourceStatus.Faulted;
    }

    void IValueTaskSource<TResult>.OnCompleted(
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

    TResult IValueTaskSource<TResult>.GetResult(short token)
    {
        Check(token);
        TResult result = _result!;
        Exception? exception = _exception;
        _result = default;
        _exception = null;
        _completed = false;
        _version++;
        Recycle();
        if (exception is not null)
        {
            ExceptionDispatchInfo.Throw(exception);
        }

        return result;
    }

    /// <summary>The result was taken: the object may be used for the next one.</summary>
    protected abstract void Recycle();

    private void Resume()
    {
        _completed = true;
        if (_continuation is { } continuation)
        {
            object? state = _state;
            _continuation = null;
            _state = null;
            continuation(state);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Check(short token)
    {
        if (token != _version)
        {
            throw new InvalidOperationException("A result was awaited twice.");
        }
    }
}
