using Ublk.Io;
using Ublk.Serving;
using Ublk.Targets;

namespace Ublk.Live;

/// <summary>
/// Reads a disk in use for a command: on a queue of the command's own, or, where the queues of the disk have the connections, on one of
/// those.
/// </summary>
internal sealed class DiskReader : IDisposable
{
    private readonly BlockTarget _disk;
    private readonly TargetSwitch _targets;
    private readonly CopyQueue? _queue;
    private readonly AlignedBuffer? _buffer;

    /// <summary>Prepares to read. The object belongs to the thread that makes it.</summary>
    /// <param name="disk">The disk, with filters that cannot be exchanged.</param>
    /// <param name="isBound">Whether only the queues of the disk can use it.</param>
    /// <param name="targets">These queues.</param>
    /// <exception cref="UblkException">The kernel refuses it.</exception>
    public DiskReader(BlockTarget disk, bool isBound, TargetSwitch targets)
    {
        _disk = disk;
        _targets = targets;
        _queue = isBound ? null : new CopyQueue(disk);
        _buffer = isBound ? new AlignedBuffer(CopyQueue.MaxLength) : null;
    }

    /// <summary>Reads a range, of <see cref="CopyQueue.MaxLength"/> bytes at most.</summary>
    /// <returns>The data, until the next read.</returns>
    /// <exception cref="UblkException">It cannot be read.</exception>
    public ReadOnlySpan<byte> Read(long offset, int length)
    {
        string failure = $"{_disk.BackingPath} cannot be read";
        IoBuffer data = default;
        if (_queue is { } queue)
        {
            queue.Run(
                length,
                (request, buffer) => _disk.HandleAsync(request.Derive(IoOperation.Read, offset, length, data = buffer)),
                failure);
            return data.Span;
        }

        data = _buffer!.Part(0, length);
        for (int done = 0; done < length;)
        {
            int part = int.Min(length - done, _disk.Geometry.MaxIoSize);
            _targets.Read(_disk, offset + done, data.Slice(done, part), failure);
            done += part;
        }

        return data.Span;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _queue?.Dispose();
        _buffer?.Dispose();
    }
}
