using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Ublk.Io;

/// <summary>A result that is available now or later: await it once. A value converts to it.</summary>
/// <remarks>
/// It is for a queue's thread what <see cref="ValueTask{TResult}"/> is elsewhere. An <c>async</c> method that returns it allocates nothing
/// in steady state and does not flow the execution context. Its continuation runs inline, on the thread that completes what is awaited.
/// </remarks>
/// <typeparam name="TResult">The result; of an operation, what it returns, or a negative errno.</typeparam>
[AsyncMethodBuilder(typeof(IoTaskMethodBuilder<>))]
[StructLayout(LayoutKind.Auto)]
public readonly struct IoTask<TResult>
{
    private readonly ReusableTask<TResult>? _source;
    private readonly TResult _result;
    private readonly short _version;

    internal IoTask(ReusableTask<TResult> source, short version)
    {
        _source = source;
        _result = default!;
        _version = version;
    }

    private IoTask(TResult result) => _result = result;

    /// <summary>Whether the result is available.</summary>
    public bool IsCompleted => _source is null || _source.IsCompleted(_version);

    /// <summary>The result, to be taken once.</summary>
    /// <exception cref="InvalidOperationException">It is not available yet, or was already taken.</exception>
    public TResult Result => _source is null ? _result : _source.TakeResult(_version);

    /// <summary>A result that is available now.</summary>
    /// <param name="result">The result.</param>
    public static implicit operator IoTask<TResult>(TResult result) => new(result);

    /// <summary>Lets a method await the result.</summary>
    public IoTaskAwaiter<TResult> GetAwaiter() => new(this);

    /// <summary>An exception in place of a result.</summary>
    internal static IoTask<TResult> FromException(Exception exception)
    {
        FailedTask task = new();
        task.Fail(exception);
        return task.Task;
    }

    internal void OnCompleted(Action continuation)
    {
        if (_source is null)
        {
            continuation();
        }
        else
        {
            _source.OnCompleted(continuation, _version);
        }
    }

    private sealed class FailedTask : ReusableTask<TResult>
    {
        protected override void Recycle()
        {
        }
    }
}

/// <summary>Awaits an <see cref="IoTask{TResult}"/>.</summary>
/// <typeparam name="TResult">The result.</typeparam>
[StructLayout(LayoutKind.Auto)]
public readonly struct IoTaskAwaiter<TResult> : ICriticalNotifyCompletion
{
    private readonly IoTask<TResult> _task;

    internal IoTaskAwaiter(IoTask<TResult> task) => _task = task;

    /// <summary>Whether the result is available.</summary>
    public bool IsCompleted => _task.IsCompleted;

    /// <summary>Takes the result.</summary>
    /// <exception cref="InvalidOperationException">It is not available yet, or was already taken.</exception>
    public TResult GetResult() => _task.Result;

    /// <summary>Runs a continuation when the result is available.</summary>
    public void OnCompleted(Action continuation) => _task.OnCompleted(continuation);

    /// <summary>Runs a continuation when the result is available.</summary>
    public void UnsafeOnCompleted(Action continuation) => _task.OnCompleted(continuation);
}
