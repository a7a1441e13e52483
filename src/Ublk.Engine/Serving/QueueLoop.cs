using Microsoft.Win32.SafeHandles;
using Ublk.Interop;
using Ublk.Targets;

namespace Ublk.Serving;

/// <summary>One hardware queue: fetches its requests, has the target answer them, and commits the answers.</summary>
/// <remarks>Everything happens on the thread that made the loop: the driver takes answers from no other.</remarks>
internal sealed class QueueLoop : IDisposable
{
    // Long enough that a busy device never gives back what it needs again at once.
    private static readonly TimeSpan IdleTime = TimeSpan.FromSeconds(5);

    private readonly int _queueId;
    private readonly BlockTarget _target;
    private readonly DescriptorMap _descriptors;
    private readonly CopiedBuffers _buffers;
    private readonly IoQueue _queue;
    private readonly PendingRequest[] _requests;
    private readonly bool _canGiveBack;
    private int _fetched;
    private int _handled;

    /// <summary>Opens the queue and prepares to fetch each of its tags.</summary>
    /// <exception cref="UblkException">The kernel refuses something.</exception>
    public QueueLoop(SafeFileHandle charDevice, int queueId, int depth, int maxIoSize, BlockTarget target)
    {
        _queueId = queueId;
        _target = target;
        try
        {
            _descriptors = new DescriptorMap(charDevice, queueId, depth);
            _buffers = new CopiedBuffers(depth, maxIoSize);
            _queue = new IoQueue(depth, [charDevice], target.Files);

            // Without deferred task work the driver may fill a buffer at any moment, unseen until the next reap.
            _canGiveBack = (_queue.Ring.SetupFlags & IoUring.SetupDeferTaskRun) != 0;
            _requests = new PendingRequest[depth];
            for (int tag = 0; tag < depth; tag++)
            {
                _requests[tag] = new PendingRequest(this, new IoRequest(_queue, tag));
                Command(UblkAbi.IoFetch, tag, 0);
            }

            _fetched = depth;
            Submit();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Serves until the driver has taken every tag back and the last answer is committed.</summary>
    /// <exception cref="UblkException">The driver or the ring refuses to go on: the process must end.</exception>
    public void Run()
    {
        while (_fetched > 0 || _handled > 0)
        {
            TimeSpan patience = _canGiveBack && _buffers.IsTouched && _handled == 0 ? IdleTime : Timeout.InfiniteTimeSpan;
            int result = _queue.Ring.Enter(1, patience);
            bool isIdle = true;
            while (_queue.Ring.TryReap(out IoUringCqe completion))
            {
                isIdle = false;
                if (!_queue.TryComplete(completion))
                {
                    OnCommand((int)completion.UserData, completion.Result);
                }
            }

            if (result < 0 && result is not (-Libc.ETIME or -Libc.EBUSY or -Libc.EAGAIN))
            {
                throw UblkException.FromErrno(-result, "io_uring_enter", $"Queue {_queueId} cannot go on");
            }

            if (isIdle && _canGiveBack && _handled == 0)
            {
                _buffers.GiveBack();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _queue?.Dispose();
        _descriptors?.Dispose();
        _buffers?.Dispose();
    }

    private void OnCommand(int tag, int result)
    {
        switch (result)
        {
            case 0:
                Handle(_requests[tag]);
                break;
            case -Libc.ENODEV:
                _fetched--;
                break;
            default:
                throw UblkException.FromErrno(-result, "URING_CMD", $"The driver rejected tag {tag} of queue {_queueId}");
        }
    }

    private void Handle(PendingRequest pending)
    {
        IoRequest request = pending.Request;
        request.Load(_descriptors[request.Tag], _buffers.AddressOf(request.Tag));
        if (request.Buffer.Length > 0)
        {
            _buffers.Touch();
        }

        _fetched--;
        _handled++;
        ValueTask<int> answer;
        try
        {
            answer = _target.HandleAsync(request);
        }
        catch (Exception exception)
        {
            answer = ValueTask.FromException<int>(exception);
        }

        pending.Await(answer);
    }

    private void Commit(IoRequest request, int result)
    {
        Command(UblkAbi.IoCommitAndFetch, request.Tag, RequestResult.ForDriver(request, result));
        _handled--;
        _fetched++;
    }

    private unsafe void Command(uint command, int tag, int result)
    {
        IoUringSqe* entry = _queue.Ring.NextEntry();
        entry->Opcode = IoUring.OpUringCmd;
        entry->Flags = IoUring.SqeFixedFile;
        entry->CommandOp = command;
        entry->UserData = (uint)tag;
        *(UblkIoCommand*)&entry->Command = new UblkIoCommand
        {
            QueueId = (ushort)_queueId,
            Tag = (ushort)tag,
            Result = result,
            Address = (ulong)_buffers.AddressOf(tag),
        };
    }

    private void Submit()
    {
        int result = _queue.Ring.Enter(0, Timeout.InfiniteTimeSpan);
        if (result < 0)
        {
            throw UblkException.FromErrno(-result, "io_uring_enter", $"Cannot fetch from queue {_queueId}");
        }
    }

    /// <summary>A tag's request and the answer it waits for.</summary>
    private sealed class PendingRequest
    {
        private readonly QueueLoop _loop;
        private readonly Action _onAnswered;
        private ValueTask<int> _answer;

        public PendingRequest(QueueLoop loop, IoRequest request)
        {
            _loop = loop;
            Request = request;
            _onAnswered = Finish;
        }

        public IoRequest Request { get; }

        public void Await(ValueTask<int> answer)
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
            catch (UblkException exception) when (exception.Errno > 0)
            {
                result = -exception.Errno;
            }
            catch (Exception)
            {
                result = -Libc.EIO;
            }

            _answer = default;
            _loop.Commit(Request, result);
        }
    }
}
