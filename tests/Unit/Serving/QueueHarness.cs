using System.Runtime.ExceptionServices;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Serving;
using Ublk.Targets;

namespace Ublk.Tests.Serving;

/// <summary>Feeds a target with requests as a QueueLoop does, on a thread and a ring of its own, without a driver.</summary>
internal sealed class QueueHarness : IDisposable
{
    private readonly BlockTarget _target;
    private readonly IoQueue _queue;
    private readonly RequestBuffers _buffers;
    private readonly RegisteredMemory? _registered;
    private readonly IoRequest[] _requests;
    private readonly IoTask<int>[] _answers;
    private readonly bool[] _isBusy;
    private readonly int _bufferSize;

    private QueueHarness(BlockTarget target, int depth, int bufferSize, int slotsFrom)
    {
        _target = target;
        _queue = new IoQueue(depth, [], target.Files);
        _registered = slotsFrom < int.MaxValue ? new RegisteredMemory(_queue.Ring, depth, bufferSize, slotsFrom) : null;
        _buffers = _registered ?? (RequestBuffers)new KernelCopyBuffers(depth, bufferSize);
        _requests = [.. Enumerable.Range(0, depth).Select(tag => new IoRequest(_queue, tag, tag))];
        _answers = new IoTask<int>[depth];
        _isBusy = new bool[depth];
        _bufferSize = bufferSize;
    }

    /// <summary>Runs a test on a queue's thread.</summary>
    /// <param name="target">The target.</param>
    /// <param name="test">The test.</param>
    /// <param name="depth">Requests at once.</param>
    /// <param name="bufferSize">Bytes of the longest request.</param>
    /// <param name="slotsFrom">Bytes from which on a request's data is no memory to the target, as with zero copy.</param>
    public static void Run(
        BlockTarget target, Action<QueueHarness> test, int depth = 64, int bufferSize = 64 << 10, int slotsFrom = int.MaxValue)
    {
        ExceptionDispatchInfo? failure = null;
        Thread thread = new(() =>
        {
            try
            {
                using QueueHarness harness = new(target, depth, bufferSize, slotsFrom);
                test(harness);
            }
            catch (Exception exception)
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
    }

    /// <summary>A request as the driver would describe it.</summary>
    public static UblkIoDescriptor Describe(IoOperation operation, long offset = 0, int length = 0, uint flags = 0) => new()
    {
        OpFlags = (uint)operation | flags,
        StartSector = operation == IoOperation.Flush ? ulong.MaxValue : (ulong)offset / 512,
        SectorCount = (uint)length / 512,
    };

    /// <summary>Answers one request and returns what the driver would be told.</summary>
    /// <param name="descriptor">The request.</param>
    /// <param name="data">The data of a write, or where that of a read goes.</param>
    public int Answer(UblkIoDescriptor descriptor, Span<byte> data = default)
    {
        IoRequest request = Load(0, descriptor);
        if (request.Operation == IoOperation.Write)
        {
            data.CopyTo(MemoryOf(request).Span);
        }
        else
        {
            MemoryOf(request).Span.Fill(0xEE);
        }

        int result = RequestResult.ForDriver(request, AnswerOf(_target.HandleAsync(request)));
        if (request.Operation == IoOperation.Read && result > 0)
        {
            MemoryOf(request).Span.CopyTo(data);
        }

        return result;
    }

    /// <summary>The answer to a request that was started, as the target gives it.</summary>
    public int AnswerOf(IoTask<int> answer)
    {
        while (!answer.IsCompleted)
        {
            Turn();
        }

        return answer.GetAwaiter().GetResult();
    }

    /// <summary>Serves what comes meanwhile, for a time.</summary>
    public void TurnFor(TimeSpan time)
    {
        bool isOver = false;
        Thread timer = new(() =>
        {
            Thread.Sleep(time);
            _queue.Post(_ => isOver = true, null);
        });
        timer.Start();
        while (!isOver)
        {
            Turn();
        }
    }

    /// <summary>Whether a target answers a request without waiting for anything; its answer is not taken.</summary>
    public bool IsAnsweredAtOnce(UblkIoDescriptor descriptor) => _target.HandleAsync(Load(0, descriptor)).IsCompleted;

    /// <summary>The first tag's request, loaded and not answered.</summary>
    public IoRequest Request(UblkIoDescriptor descriptor) => Load(0, descriptor);

    /// <summary>
    /// Has a target begin a request, whose data is in <see cref="BufferOf"/>; for a caller who completes its operations himself.
    /// </summary>
    public IoTask<int> Start(int tag, UblkIoDescriptor descriptor) => _target.HandleAsync(Load(tag, descriptor));

    /// <summary>The memory of a tag.</summary>
    public IoBuffer BufferOf(int tag) => _registered?.MemoryOf(tag, _bufferSize) ?? _buffers.Of(tag, _bufferSize);

    /// <summary>Keeps every tag busy until a number of requests is answered, none of them with an error.</summary>
    /// <param name="count">How many.</param>
    /// <param name="next">Makes the request of a number.</param>
    public void Saturate(int count, Func<int, UblkIoDescriptor> next)
    {
        int started = 0;
        int answered = 0;
        while (answered < count)
        {
            for (int tag = 0; tag < _requests.Length; tag++)
            {
                if (_isBusy[tag] && _answers[tag].IsCompleted)
                {
                    int result = RequestResult.ForDriver(_requests[tag], _answers[tag].GetAwaiter().GetResult());
                    if (result < 0)
                    {
                        Assert.Fail($"A request failed with {result}.");
                    }

                    _isBusy[tag] = false;
                    answered++;
                }

                if (!_isBusy[tag] && started < count)
                {
                    _answers[tag] = _target.HandleAsync(Load(tag, next(started++)));
                    _isBusy[tag] = true;
                }
            }

            // With deferred task work, completions come only to those who wait.
            if (answered < count && !HasAnswer())
            {
                Turn();
            }
        }
    }

    public void Dispose()
    {
        _queue.Dispose();
        _buffers.Dispose();
    }

    private IoBuffer MemoryOf(IoRequest request) =>
        request.Buffer.IsMemory ? request.Buffer : BufferOf(request.Slot).Slice(0, request.Buffer.Length);

    private bool HasAnswer()
    {
        for (int tag = 0; tag < _answers.Length; tag++)
        {
            if (_isBusy[tag] && _answers[tag].IsCompleted)
            {
                return true;
            }
        }

        return false;
    }

    private IoRequest Load(int tag, UblkIoDescriptor descriptor)
    {
        _buffers.Load(_requests[tag], descriptor);
        return _requests[tag];
    }

    /// <summary>Waits for completions, and deals with them.</summary>
    public void Turn()
    {
        int result = _queue.RunTurn(TimeSpan.FromSeconds(20));
        if (result != 0)
        {
            Assert.Fail($"The ring answered {result}.");
        }
    }
}
