using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Serving;

/// <summary>
/// A thread's data in the mode where the worker copies it, by reading and writing the device's node. Only requests in flight have a
/// buffer, and the one freed last is taken first: a few warm ones serve a deep queue.
/// </summary>
internal sealed class UserCopyBuffers : RequestBuffers
{
    private readonly BufferMemory _memory;
    private readonly int _charDevice;
    private readonly long _position;
    private readonly int[] _free;
    private readonly int[] _taken;
    private int _freeCount;

    /// <summary>Reserves the buffers.</summary>
    /// <param name="charDevice">The device's node, open as long as the buffers are used.</param>
    /// <param name="queueId">Which of its queues.</param>
    /// <param name="count">The thread's tags.</param>
    /// <param name="maxIoSize">Bytes of the greatest request; a multiple of the page size.</param>
    /// <exception cref="UblkException">There is no address space.</exception>
    public UserCopyBuffers(int charDevice, int queueId, int count, int maxIoSize)
    {
        _memory = new BufferMemory(count, maxIoSize);
        _charDevice = charDevice;
        _position = UblkAbi.UserCopyStart + ((long)queueId << UblkAbi.UserCopyQueueShift);
        _free = [.. Enumerable.Range(0, count)];
        _taken = new int[count];
        _freeCount = count;
    }

    /// <inheritdoc/>
    public override bool CanTrim => true;

    /// <inheritdoc/>
    public override bool NeedsCopy => true;

    /// <inheritdoc/>
    public override IoBuffer Of(int slot, int length)
    {
        int index = _free[--_freeCount];
        _taken[slot] = index;
        return new IoBuffer(_memory.AddressOf(index), length);
    }

    /// <inheritdoc/>
    public override int CopyIn(IoRequest request)
    {
        if (request.Operation != IoOperation.Write)
        {
            return 0;
        }

        nint read = Libc.PRead(_charDevice, request.Buffer.Address, request.Buffer.Length, PositionOf(request.Tag));
        return read == request.Buffer.Length ? 0 : FailureOf(read);
    }

    /// <inheritdoc/>
    public override int CopyOut(IoRequest request, int result)
    {
        if (request.Buffer.Length == 0)
        {
            return result;
        }

        _free[_freeCount++] = _taken[request.Slot];
        if (request.Operation != IoOperation.Read || result < 0)
        {
            return result;
        }

        nint written = Libc.PWrite(_charDevice, request.Buffer.Address, request.Buffer.Length, PositionOf(request.Tag));
        return written == request.Buffer.Length ? result : FailureOf(written);
    }

    /// <inheritdoc/>
    public override void Trim() => _memory.Trim();

    /// <inheritdoc/>
    public override void Dispose()
    {
        _memory.Dispose();
        base.Dispose();
    }

    private long PositionOf(int tag) => _position + ((long)tag << UblkAbi.UserCopyTagShift);

    // The driver copies all of a request in flight: a shorter copy means that the request was aborted.
    private static int FailureOf(nint result) => result < 0 ? -Libc.LastErrno : -Libc.EIO;
}
