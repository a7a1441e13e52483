using System.Collections.Concurrent;
using Ublk.Io;
using Ublk.Targets;

/// <summary>A disk in memory that one thread owns: requests are handed to it, and are answered when it says so.</summary>
internal sealed class EventDisk : BlockTarget
{
    private static readonly TimeSpan FlushTime = TimeSpan.FromMilliseconds(5);

    private readonly byte[] _data;
    private readonly BlockingCollection<(IoRequest Request, TaskCompletionSource<int> Answer)> _requests = [];
    private readonly Thread _owner;

    public EventDisk(int size)
    {
        _data = new byte[size];
        Geometry = new TargetGeometry { Size = size, VolatileCache = true };
        _owner = new Thread(Work) { IsBackground = true };
        _owner.Start();
    }

    public override TargetGeometry Geometry { get; }

    public override async IoTask<int> HandleAsync(IoRequest request)
    {
        if (request.Operation == IoOperation.Flush)
        {
            await Task.Delay(FlushTime);
            return 0;
        }

        TaskCompletionSource<int> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _requests.Add((request, answer));
        return await answer.Task;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _requests.CompleteAdding();
            _owner.Join();
            _requests.Dispose();
        }

        base.Dispose(disposing);
    }

    private void Work()
    {
        foreach ((IoRequest request, TaskCompletionSource<int> answer) in _requests.GetConsumingEnumerable())
        {
            Span<byte> range = _data.AsSpan((int)request.Offset, (int)request.Length);
            if (request.Operation == IoOperation.Read)
            {
                range.CopyTo(request.Buffer.Span);
            }
            else
            {
                request.Buffer.Span.CopyTo(range);
            }

            answer.SetResult(0);
        }
    }
}
