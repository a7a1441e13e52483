using Ublk.Counters;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Serving;
using Ublk.Targets;

namespace Ublk.Micro;

/// <summary>A queue that has no driver: its requests come from the benchmark, and its answers go nowhere.</summary>
internal sealed class TargetQueue : IDisposable
{
    private const int RequestSize = 4096;

    private readonly BlockTarget _target;
    private readonly IoQueue _queue;
    private readonly KernelCopyBuffers _buffers;
    private readonly IoRequest[] _requests;
    private readonly IoTask<int>[] _answers;
    private readonly UblkIoDescriptor[] _descriptors;
    private readonly CounterMemory? _memory;
    private readonly QueueCounters? _counters;

    /// <summary>Makes the queue for the calling thread.</summary>
    /// <param name="target">What answers.</param>
    /// <param name="depth">Requests of a turn.</param>
    /// <param name="counts">Whether requests are counted.</param>
    public TargetQueue(BlockTarget target, int depth, bool counts = false)
    {
        _memory = counts ? new CounterMemory(null, 1, []) : null;
        _counters = _memory?.For(0, depth);
        _target = target;
        _queue = new IoQueue(depth, [], target.Files);
        _buffers = new KernelCopyBuffers(depth, 64 << 10);
        _requests = [.. Enumerable.Range(0, depth).Select(tag => new IoRequest(_queue, tag, tag))];
        _answers = new IoTask<int>[depth];
        _descriptors = [.. Enumerable.Range(0, depth).Select(tag => new UblkIoDescriptor
        {
            OpFlags = (uint)IoOperation.Read,
            StartSector = (ulong)(tag * RequestSize / 512),
            SectorCount = RequestSize / 512,
        })];
    }

    /// <summary>One turn: has the target answer a read for each tag, and waits until all are answered.</summary>
    /// <returns>The sum of the answers.</returns>
    public int Turn()
    {
        _counters?.BeginTurn();
        for (int tag = 0; tag < _requests.Length; tag++)
        {
            _buffers.Load(_requests[tag], _descriptors[tag]);
            _counters?.Arrive(_requests[tag]);
            _answers[tag] = _target.HandleAsync(_requests[tag]);
        }

        int sum = 0;
        for (int tag = 0; tag < _answers.Length; tag++)
        {
            while (!_answers[tag].IsCompleted)
            {
                _ = _queue.RunTurn(Timeout.InfiniteTimeSpan);
            }

            int result = RequestResult.ForDriver(_requests[tag], _answers[tag].GetAwaiter().GetResult());
            _counters?.Answer(_requests[tag], result);
            sum += result;
        }

        _counters?.EndTurn();

        return sum;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _queue.Dispose();
        _buffers.Dispose();
        _target.Dispose();
        _memory?.Dispose();
    }
}
