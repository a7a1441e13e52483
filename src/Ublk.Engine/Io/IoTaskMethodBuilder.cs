using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Ublk.Io;

/// <summary>Builds an <c>async</c> method that returns an <see cref="IoTask{TResult}"/>, without allocating in steady state.</summary>
/// <remarks>
/// The framework's pooling builder keeps one state machine a core, too few for a queue with many requests in flight; this
/// one keeps, for each thread, as many as were ever in use at once. It does not flow the execution context. Continuations
/// run inline, so the awaited operation must complete on the queue's thread, as every operation of
/// <see cref="IoQueue"/> is.
/// </remarks>
/// <typeparam name="TResult">What the method returns.</typeparam>
[StructLayout(LayoutKind.Auto)]
public struct IoTaskMethodBuilder<TResult>
{
    private StateMachineBox? _box;
    private Exception? _exception;
    private TResult _result;

    /// <summary>The method's task.</summary>
    public readonly IoTask<TResult> Task =>
        _box is not null ? _box.Task
        : _exception is not null ? IoTask<TResult>.FromException(_exception)
        : _result;

    /// <summary>Makes a builder for one run of a method.</summary>
    [SuppressMessage("Design", "CA1000", Justification = "The compiler calls it by this name.")]
    public static IoTaskMethodBuilder<TResult> Create() => default;

    /// <summary>Runs the method to its first suspension.</summary>
    [SuppressMessage("Performance", "CA1822", Justification = "The compiler calls it on an instance.")]
    public readonly void Start<TStateMachine>(ref TStateMachine stateMachine)
        where TStateMachine : IAsyncStateMachine => stateMachine.MoveNext();

    /// <summary>Not used: state machines are boxed by <see cref="AwaitUnsafeOnCompleted"/>.</summary>
    [SuppressMessage("Performance", "CA1822", Justification = "The compiler calls it on an instance.")]
    public readonly void SetStateMachine(IAsyncStateMachine stateMachine)
    {
    }

    /// <summary>Completes the method.</summary>
    public void SetResult(TResult result)
    {
        if (_box is null)
        {
            _result = result;
        }
        else
        {
            _box.Complete(result);
        }
    }

    /// <summary>Completes the method with an exception.</summary>
    public void SetException(Exception exception)
    {
        if (_box is null)
        {
            _exception = exception;
        }
        else
        {
            _box.Fail(exception);
        }
    }

    /// <summary>Suspends the method until an awaiter completes.</summary>
    public void AwaitOnCompleted<TAwaiter, TStateMachine>(ref TAwaiter awaiter, ref TStateMachine stateMachine)
        where TAwaiter : INotifyCompletion
        where TStateMachine : IAsyncStateMachine => awaiter.OnCompleted(Box(ref stateMachine));

    /// <summary>Suspends the method until an awaiter completes.</summary>
    public void AwaitUnsafeOnCompleted<TAwaiter, TStateMachine>(ref TAwaiter awaiter, ref TStateMachine stateMachine)
        where TAwaiter : ICriticalNotifyCompletion
        where TStateMachine : IAsyncStateMachine => awaiter.UnsafeOnCompleted(Box(ref stateMachine));

    private Action Box<TStateMachine>(ref TStateMachine stateMachine)
        where TStateMachine : IAsyncStateMachine
    {
        if (_box is null)
        {
            StateMachineBox<TStateMachine> box = StateMachineBox<TStateMachine>.Rent();

            // The builder is a field of the state machine, so the box must be set before the machine is copied into it.
            _box = box;
            box.StateMachine = stateMachine;
        }

        return _box.MoveNext;
    }

    private abstract class StateMachineBox : ReusableTask<TResult>
    {
        protected StateMachineBox() => MoveNext = MoveMachine;

        public Action MoveNext { get; }

        protected abstract void MoveMachine();
    }

    private sealed class StateMachineBox<TStateMachine> : StateMachineBox
        where TStateMachine : IAsyncStateMachine
    {
        [ThreadStatic]
        private static StateMachineBox<TStateMachine>? t_free;

        private StateMachineBox<TStateMachine>? _nextFree;

        public TStateMachine? StateMachine;

        public static StateMachineBox<TStateMachine> Rent()
        {
            StateMachineBox<TStateMachine>? box = t_free;
            if (box is null)
            {
                return new StateMachineBox<TStateMachine>();
            }

            t_free = box._nextFree;
            box._nextFree = null;
            return box;
        }

        protected override void MoveMachine() => StateMachine!.MoveNext();

        protected override void Recycle()
        {
            StateMachine = default;
            _nextFree = t_free;
            t_free = this;
        }
    }
}
