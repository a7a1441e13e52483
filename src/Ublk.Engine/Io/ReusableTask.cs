using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

namespace Ublk.Io;

/// <summary>A result that is awaited once. The object is used again for the next one, so that nothing is allocated.</summary>
/// <remarks>Everything happens on one thread, so a continuation runs inline when the result is there.</remarks>
/// <typeparam name="TResult">The result.</typeparam>
internal abstract class ReusableTask<TResult>
{
    private Action? _continuation;
    private Exception? _exception;
    private TResult? _result;
    private short _version;
    private bool _completed;

    /// <summary>The result to await, once.</summary>
    public IoTask<TResult> Task => new(this, _version);

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

    /// <summary>Whether the result of this version is available.</summary>
    public bool IsCompleted(short version)
    {
        Check(version);
        return _completed;
    }

    /// <summary>Sets what runs when the result of this version is available.</summary>
    public void OnCompleted(Action continuation, short version)
    {
        Check(version);
        if (_completed)
        {
            continuation();
        }
        else
        {
            _continuation = continuation;
        }
    }

    /// <summary>Takes the result of this version; the object may be used for the next one.</summary>
    public TResult TakeResult(short version)
    {
        Check(version);
        if (!_completed)
        {
            throw new InvalidOperationException("The result is not available yet.");
        }

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
            _continuation = null;
            continuation();
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Check(short version)
    {
        if (version != _version)
        {
            throw new InvalidOperationException("A result was awaited twice.");
        }
    }
}
