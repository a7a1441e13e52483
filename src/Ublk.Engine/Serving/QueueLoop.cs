using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Counters;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Rings;
using Ublk.Targets;

namespace Ublk.Serving;

/// <summary>
/// One hardware queue, or a thread's share of its tags: fetches the requests, has the target answer them, and commits the answers.
/// </summary>
/// <remarks>Everything happens on the thread that made the loop: the driver takes answers from no other.</remarks>
internal sealed class QueueLoop : IDisposable
{
    // Beside the slots that the driver's commands carry.
    private const ulong IdleCheckMark = 1UL << 61;
    private const ulong RegistrationMark = 1UL << 60;

    // Long enough that a busy device never gives back what it needs again at once. Pinned: the kernel reads it.
    private static readonly KernelTimespec[] s_idleTime = GC.AllocateArray<KernelTimespec>(1, pinned: true);

    private readonly QueueShare _share;
    private readonly QueueTeam _team;
    private readonly QueueCounters _counters;
    private readonly DescriptorMap _descriptors;
    private readonly RequestBuffers _buffers;
    private readonly IoQueue _queue;
    private readonly PendingRequest[] _requests;
    private readonly bool _canTrim;
    private readonly bool _needsCopy;
    private BlockTarget _target;
    private HeldRequests? _held;
    private Action? _onIdle;
    private int _handled;
    private bool _isLeaving;
    private bool _isBusy;
    private bool _isIdleCheckScheduled;
    private bool _isIdleTimeUp;

    // Whether the end of a turn has more to do than to count it.
    private bool _hasDuty;

    static QueueLoop() => s_idleTime[0] = new KernelTimespec { Seconds = 5 };

    /// <summary>Opens the queue and fetches each tag of the share.</summary>
    /// <param name="ring">The thread's ring, with room for its tags; owned by this object.</param>
    /// <param name="charDevice">The device's node.</param>
    /// <param name="share">Which of its queues, and which tags.</param>
    /// <param name="team">The loops of the queue; this one joins them.</param>
    /// <param name="info">The device as the driver took it.</param>
    /// <param name="target">What answers the requests.</param>
    /// <param name="counters">What counts them.</param>
    /// <exception cref="UblkException">The kernel refuses something.</exception>
    public QueueLoop(
        Ring ring, SafeFileHandle charDevice, QueueShare share, QueueTeam team, in UblkDeviceInfo info, BlockTarget target,
            QueueCounters counters)
    {
        int[] tags = share.TagsOf(info.QueueDepth);
        _share = share;
        _team = team;
        _target = target;
        _counters = counters;
        try
        {
            _queue = new IoQueue(ring, [charDevice], target.Files);
            _descriptors = new DescriptorMap(charDevice, share.QueueId, info.QueueDepth);
            _buffers = RequestBuffers.Create((UblkFeatures)info.Flags, _queue.Ring, charDevice, share.QueueId, tags.Length,
                (int)info.MaxIoBufferBytes, target.ZeroCopyThreshold);
            _needsCopy = _buffers.NeedsCopy;

            // The driver must fill buffers only while this thread is in io_uring_enter: in task work that the ring defers. Otherwise it may
            // fill one at any moment, unseen until the next reap.
            _canTrim = _buffers.CanTrim && (_queue.Ring.SetupFlags & IoUring.SetupDeferTaskRun) != 0
                && ((UblkFeatures)info.Flags).HasFlag(UblkFeatures.UringCmdCompInTask);
            _requests = new PendingRequest[tags.Length];
            for (int slot = 0; slot < tags.Length; slot++)
            {
                _requests[slot] = new PendingRequest(this, new IoRequest(_queue, tags[slot], slot));
                Fetch(_requests[slot]);
            }

            Submit();
            team.Add(this);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Serves until the driver takes the queue back and the last answer is committed.</summary>
    /// <remarks>
    /// A driver that quiesces a device gives back only the tags that are idle at that moment: the others are parked again
    /// by their answer, for good. So the first tag that comes back is the sign to leave.
    /// </remarks>
    /// <exception cref="UblkException">The driver or the ring refuses to go on: the process must end.</exception>
    public void Run()
    {
        while (!_isLeaving || _handled > 0)
        {
            int result = _queue.Wait();
            _counters.BeginTurn();
            while (_queue.Ring.TryReap(out IoUringCqe completion))
            {
                if (_queue.TryComplete(completion))
                {
                    continue;
                }

                if (completion.UserData == IdleCheckMark)
                {
                    _isIdleTimeUp = _hasDuty = true;
                }
                else if (completion.UserData != RegistrationMark)
                {
                    OnCommand((int)completion.UserData, completion.Result);
                }
            }

            if (_hasDuty)
            {
                DoDuties();
            }

            _counters.EndTurn();
            if (result < 0 && result is not (-Libc.EBUSY or -Libc.EAGAIN))
            {
                throw UblkException.FromErrno(-result, "io_uring_enter", $"Queue {_share} failed");
            }
        }

        Submit();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _team.Remove(this);
        _queue?.Dispose();
        _descriptors?.Dispose();
        _buffers?.Dispose();
    }

    /// <summary>Ends the loop as the driver's abort does. Callable from any thread.</summary>
    internal void Dismiss() => _queue.Post(static loop => ((QueueLoop)loop!)._isLeaving = true, this);

    /// <summary>Has the loop's thread do something between two requests. Callable from any thread.</summary>
    internal void Post(Action action) => _queue.Post(static action => ((Action)action!)(), action);

    /// <summary>Has another target answer the requests that come from now on.</summary>
    internal void Exchange(BlockTarget target) => _target = target;

    /// <summary>Holds the requests that come from now on.</summary>
    /// <param name="onIdle">Called once no request is in flight but those that are held.</param>
    internal void Hold(Action onIdle)
    {
        _held = new HeldRequests(_target, _requests.Length);
        _target = _held;
        _onIdle = onIdle;
        _hasDuty = true;
    }

    /// <summary>Has a target answer the held requests, and those that follow. Without held requests nothing changes.</summary>
    internal void Release(BlockTarget target)
    {
        if (_held is { } held)
        {
            _held = null;
            _onIdle = null;
            _target = target;
            held.Release(target);
        }
    }

    /// <summary>Replaces the files of the loop's operations. No operation may be in flight.</summary>
    internal void ReplaceFiles(IReadOnlyList<SafeFileHandle> files) => _queue.ReplaceFiles(files);

    /// <summary>Has a target answer a request that does not come from the driver.</summary>
    internal async void Send(
        BlockTarget target, IoOperation operation, long offset, IoBuffer buffer, TaskCompletionSource<int> result)
    {
        // The loop does not leave before its end.
        _handled++;
        try
        {
            IoRequest request = new(_queue, 0, 0);
            request.Load(operation, isForceUnitAccess: false, mustStayAllocated: false, offset, buffer.Length, buffer);
            result.SetResult(RequestResult.ForDriver(request, await target.HandleAsync(request)));
        }
        catch (Exception exception)
        {
            result.SetException(exception);
        }
        finally
        {
            _handled--;
        }
    }

    private void OnCommand(int slot, int result)
    {
        switch (result)
        {
            case 0:
                Handle(_requests[slot]);
                break;
            case -Libc.ENODEV:
                Leave();
                break;
            default:
                throw UblkException.FromErrno(
                    -result, "URING_CMD", $"The driver rejected tag {_requests[slot].Request.Tag} of queue {_share}");
        }
    }

    private void Leave()
    {
        if (!_isLeaving)
        {
            _isLeaving = true;
            _team.Dismiss(this);
        }
    }

    private void Handle(PendingRequest pending)
    {
        IoRequest request = pending.Request;
        ref readonly UblkIoDescriptor descriptor = ref _descriptors[request.Tag];
        _buffers.Load(request, descriptor);
        _counters.Arrive(request);
        if (_buffers.NeedsRegistration(descriptor))
        {
            // What the target prepares comes after it in the ring; should it fail, that fails too.
            pending.IsRegistered = true;
            Register(UblkAbi.IoRegisterBuffer, request);
        }

        _isBusy = true;
        if (!_isIdleCheckScheduled && _canTrim && request.Buffer.Length > 0)
        {
            ScheduleIdleCheck();
        }

        _handled++;
        int failure = _needsCopy ? _buffers.CopyIn(request) : 0;
        if (failure < 0)
        {
            Commit(pending, failure);
            return;
        }

        IoTask<int> answer;
        try
        {
            answer = _target.HandleAsync(request);
        }
        catch (Exception exception)
        {
            answer = IoTask<int>.FromException(exception);
        }

        pending.Await(answer);
    }

    private void Commit(PendingRequest pending, int result)
    {
        IoRequest request = pending.Request;
        if (pending.IsRegistered)
        {
            pending.IsRegistered = false;
            Register(UblkAbi.IoUnregisterBuffer, request);
        }

        result = RequestResult.ForDriver(request, result);
        _counters.Answer(request, result);
        Answer(pending, _needsCopy ? _buffers.CopyOut(request, result) : result);
        _handled--;
    }

    private void DoDuties()
    {
        if (_isIdleTimeUp)
        {
            CheckIdle();
        }

        if (_onIdle is { } onIdle && _handled == _held!.Count)
        {
            _onIdle = null;
            onIdle();
        }

        _hasDuty = _onIdle is not null;
    }

    // Gives the buffers back when nothing came since the last look. Every completion must have been reaped: the driver has filled the
    // buffer of a write before its completion is seen. One timer now and then: a limit on each wait would set the clock anew with every
    // turn.
    private void CheckIdle()
    {
        _isIdleTimeUp = false;
        _isIdleCheckScheduled = false;
        if (_isBusy || _handled > 0 || _queue.Ring.HasOverflowed)
        {
            _isBusy = false;
            ScheduleIdleCheck();
        }
        else
        {
            _buffers.Trim();
        }
    }

    private unsafe void ScheduleIdleCheck()
    {
        IoUringSqe* entry = _queue.Ring.NextEntry();
        entry->Opcode = IoUring.OpTimeout;
        entry->Address = (ulong)Unsafe.AsPointer(ref s_idleTime[0]);
        entry->Length = 1;
        entry->UserData = IdleCheckMark;
        _isIdleCheckScheduled = true;
    }

    // Parks a tag's first command, and prepares all that follow: they differ in their result alone.
    private unsafe void Fetch(PendingRequest pending)
    {
        IoUringSqe* entry = _queue.Ring.NextEntry();
        Describe(entry, UblkAbi.IoFetch, pending.Request);
        entry->UserData = (uint)pending.Request.Slot;
        _buffers.Prepare(entry, pending.Request.Slot);
        pending.Answer = *entry;
        pending.Answer.CommandOp = UblkAbi.IoCommitAndFetch;
    }

    private unsafe void Answer(PendingRequest pending, int result)
    {
        IoUringSqe* entry = _queue.Ring.NextEntry(pending.Answer);
        ((UblkIoCommand*)&entry->Command)->Result = result;
    }

    private unsafe void Register(uint command, IoRequest request)
    {
        IoUringSqe* entry = _queue.Ring.NextEntry();
        Describe(entry, command, request);
        ((UblkIoCommand*)&entry->Command)->Address = (uint)request.Slot;
        entry->Flags |= IoUring.SqeSkipSuccess;
        entry->UserData = RegistrationMark;
    }

    private unsafe void Describe(IoUringSqe* entry, uint command, IoRequest request)
    {
        entry->Opcode = IoUring.OpUringCmd;
        entry->Flags = IoUring.SqeFixedFile;
        entry->CommandOp = command;
        *(UblkIoCommand*)&entry->Command = new UblkIoCommand { QueueId = (ushort)_share.QueueId, Tag = (ushort)request.Tag };
    }

    private void Submit()
    {
        int result = _queue.Ring.Enter(0, Timeout.InfiniteTimeSpan);
        if (result < 0)
        {
            throw UblkException.FromErrno(-result, "io_uring_enter", $"The driver takes nothing from queue {_share}");
        }
    }

    /// <summary>A tag's request and the answer it waits for.</summary>
    private sealed class PendingRequest
    {
        private readonly QueueLoop _loop;
        private readonly Action _onAnswered;
        private IoTask<int> _answer;

        public PendingRequest(QueueLoop loop, IoRequest request)
        {
            _loop = loop;
            Request = request;
            _onAnswered = Finish;
        }

        public IoRequest Request { get; }

        /// <summary>The entry of its answer, but for the result. A field: the ring copies it from where it is.</summary>
        public IoUringSqe Answer;

        /// <summary>Whether this loop registered the request's buffer, and so must unregister it.</summary>
        public bool IsRegistered { get; set; }

        public void Await(IoTask<int> answer)
        {
            _answer = answer;
            if (answer.IsCompleted)
            {
                Finish();
            }
            else
            {
                answer.GetAwaiter().UnsafeOnCompleted(_onAnswered);
            }
        }

        private void Finish()
        {
            int result;
            try
            {
                result = _answer.GetAwaiter().GetResult();
            }
            catch (Exception exception)
            {
                result = RequestResult.ForException(exception);
            }

            _answer = default;
            _loop.Commit(this, result);
        }
    }
}
