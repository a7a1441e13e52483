using Microsoft.Win32.SafeHandles;
using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Files;

/// <summary>A file on the host, read and written on the queues' rings.</summary>
/// <param name="file">The open file; owned by this object.</param>
/// <param name="index">Its index among the target's files.</param>
/// <param name="alignment">What direct I/O wants everything to be a multiple of; 1 for buffered I/O.</param>
internal sealed class RingImageFile(BackingFile file, int index, int alignment) : ImageFile
{
    private long _deviceLength = file.Length;

    /// <summary>The open file.</summary>
    public BackingFile File => file;

    /// <inheritdoc/>
    public override string Path => file.Path;

    /// <inheritdoc/>
    public override SafeFileHandle Handle => file.Handle;

    /// <inheritdoc/>
    public override bool ReadOnly => file.ReadOnly;

    /// <inheritdoc/>
    public override int Alignment => alignment;

    /// <inheritdoc/>
    public override bool IsDirect => file.IsDirect;

    /// <inheritdoc/>
    /// <remarks>A block device may grow. One that shrinks has lost data, which must not pass for what was never there.</remarks>
    public override long Length
    {
        get
        {
            if (!file.IsBlockDevice)
            {
                return Libc.Statx(file.Handle, out Libc.StatxBuffer state) == 0 ? (long)state.Size : file.Length;
            }

            long length = long.Max(Volatile.Read(ref _deviceLength), BlockDeviceIoctl.GetSizeOrZero(file.Handle));
            Volatile.Write(ref _deviceLength, length);
            return length;
        }
    }

    /// <inheritdoc/>
    public override bool IsBlockDevice => file.IsBlockDevice;

    /// <inheritdoc/>
    public override bool GrowsWithZeroes => !file.IsBlockDevice;

    /// <inheritdoc/>
    public override IoTask<int> SyncAsync() => file.SyncAsync(index);

    /// <inheritdoc/>
    /// <remarks>A block device has room for all of its length, and the kernel answers EINVAL beyond.</remarks>
    public override IoTask<int> AllocateAsync(int mode, long offset, long length) => file.IsBlockDevice && mode == 0
        ? offset + length <= Length ? 0 : -Libc.ENOSPC
        : IoQueue.Current is { } queue
        ? queue.AllocateAsync(index, mode, offset, length)
        : Libc.FAllocate(file.Handle, mode, offset, length) == 0 ? 0 : -Libc.LastErrno;

    // A file in memory is copied at once: on the ring it would go to a kernel thread.
    private IoQueue? RingQueue => file.IsInMemory ? null : IoQueue.Current;

    protected override IoTask<int> ReadPartAsync(IoBuffer buffer, long offset) => RingQueue is { } queue
        ? queue.ReadAsync(index, buffer, offset)
        : file.Read(buffer, offset);

    protected override IoTask<int> WritePartAsync(IoBuffer buffer, long offset, bool durable) => RingQueue is { } queue
        ? queue.WriteAsync(index, buffer, offset, durable)
        : file.Write(buffer, offset);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            file.Dispose();
        }

        base.Dispose(disposing);
    }
}
