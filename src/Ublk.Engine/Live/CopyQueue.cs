using Microsoft.Win32.SafeHandles;
using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Live;

/// <summary>A queue for the copies of a command, beside the queues that serve the disk. It belongs to the thread that makes it.</summary>
internal sealed class CopyQueue : IDisposable
{
    /// <summary>The most bytes that one operation copies.</summary>
    public const int MaxLength = 1 << 20;

    // An operation on an image may need a few on its files.
    private const int Entries = 8;

    private readonly AlignedBuffer _buffer = new(MaxLength);
    private readonly IoQueue _queue;
    private readonly IoRequest _request;

    /// <summary>Makes the queue.</summary>
    /// <param name="target">What the files are of that operations use.</param>
    /// <exception cref="UblkException">The kernel refuses it.</exception>
    public CopyQueue(BlockTarget target)
        : this(target.Files)
    {
    }

    /// <summary>Makes the queue with files for its operations.</summary>
    /// <exception cref="UblkException">The kernel refuses it.</exception>
    public CopyQueue(IReadOnlyList<SafeFileHandle> files)
    {
        try
        {
            _queue = new IoQueue(Entries, [], files);
        }
        catch
        {
            _buffer.Dispose();
            throw;
        }

        _request = new IoRequest(_queue, 0, 0);
    }

    /// <summary>Does an operation, to its end.</summary>
    /// <param name="length">The bytes of memory that it needs.</param>
    /// <param name="operation">Begins it; its result is a negative errno if it failed.</param>
    /// <param name="what">What failed then, in words.</param>
    /// <exception cref="UblkException">It failed.</exception>
    public void Run(int length, Func<IoRequest, IoBuffer, IoTask<int>> operation, string what)
    {
        _queue.MakeCurrent();
        IoTask<int> answer = operation(_request, _buffer.Part(0, length));
        while (!answer.IsCompleted)
        {
            _queue.RunTurn(Timeout.InfiniteTimeSpan);
        }

        int result = answer.GetAwaiter().GetResult();
        if (result < 0)
        {
            throw UblkException.FromErrno(-result, "copy", what);
        }
    }

    /// <summary>Has a target make all that was written durable.</summary>
    /// <exception cref="UblkException">It fails.</exception>
    public void Flush(BlockTarget target) => Run(
        0, (request, _) => target.HandleAsync(request.Derive(IoOperation.Flush, 0, 0, default)),
        $"What was written to {target.BackingPath} cannot be made durable");

    /// <inheritdoc/>
    public void Dispose()
    {
        // The kernel takes a ring down later, and would keep the files open until then.
        _queue.ReplaceFiles([]);
        _queue.Dispose();
        _buffer.Dispose();
    }
}
