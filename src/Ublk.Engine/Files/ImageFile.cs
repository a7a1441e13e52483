using Microsoft.Win32.SafeHandles;
using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Files;

/// <summary>A file that an image is made of: the image itself, its external data file, a backing file.</summary>
/// <remarks>
/// Everything the target reads or writes goes through here. Operations run on the queue of the calling thread. On a thread without
/// one, where the target is opened and closed, they are system calls, and their tasks are completed when returned.
/// Results are 0 or a negative errno.
/// </remarks>
internal abstract class ImageFile : IReadableFile, IDisposable
{
    /// <summary>The file's path, for errors.</summary>
    public abstract string Path { get; }

    /// <summary>The open file; null for a file that is not the operating system's, such as a simulated one.</summary>
    public virtual SafeFileHandle? Handle => null;

    /// <summary>Whether it cannot be written.</summary>
    public abstract bool ReadOnly { get; }

    /// <summary>What offsets, lengths and addresses must be a multiple of, in bytes; 1 where anything goes.</summary>
    public abstract int Alignment { get; }

    /// <summary>Whether its data passes by the page cache.</summary>
    public abstract bool IsDirect { get; }

    /// <summary>Its length in bytes now.</summary>
    public abstract long Length { get; }

    /// <summary>Whether what lies beyond the end reads as zeroes once the file has grown over it.</summary>
    public virtual bool GrowsWithZeroes => true;

    /// <summary>Whether the file cannot end before <see cref="Length"/>: one that does has vanished, or has lost data.</summary>
    public virtual bool IsBlockDevice => false;

    /// <summary>The result of an operation on a thread without a queue, which is completed when it returns.</summary>
    public static int ResultOf(IoTask<int> operation) =>
        operation.IsCompleted ? operation.Result : throw new InvalidOperationException("Without a queue nothing can be waited for.");

    /// <inheritdoc/>
    public void Read(Span<byte> buffer, long offset)
    {
        int unit = int.Max(4096, Alignment);
        long start = offset / unit * unit;
        using AlignedBuffer whole = new(checked((int)((offset + buffer.Length - start + unit - 1) / unit * unit)));
        int result = ResultOf(ReadAsync(whole.Part(0, whole.Length), start));
        if (result < 0)
        {
            throw UblkException.FromErrno(-result, "read", $"Cannot read {Path}");
        }

        whole.Span.Slice((int)(offset - start), buffer.Length).CopyTo(buffer);
    }

    /// <summary>Fills a buffer; what is beyond the file's end reads as zeroes.</summary>
    public async IoTask<int> ReadAsync(IoBuffer buffer, long offset)
    {
        while (buffer.Length > 0)
        {
            int read = await ReadPartAsync(buffer, offset);
            if (IsInterrupted(read))
            {
                continue;
            }

            if (read < 0)
            {
                return read;
            }

            buffer = buffer.Slice(read);
            offset += read;

            // Direct I/O stops unaligned only where the file ends, and could not go on from there.
            if (read == 0 || buffer.Length % Alignment != 0)
            {
                if (buffer.Length > 0 && IsBlockDevice && offset < Length)
                {
                    return -Libc.EIO;
                }

                buffer.Span.Clear();
                break;
            }
        }

        return 0;
    }

    /// <summary>Writes a buffer whole.</summary>
    /// <param name="buffer">The data.</param>
    /// <param name="offset">First byte in the file.</param>
    /// <param name="durable">
    /// Whether the data must be durable when the write completes. For a direct file alone: through the page cache, a durable write takes
    /// the error that the kernel reports once for all data that was lost, and an errno does not show whether it did.
    /// </param>
    public async IoTask<int> WriteAsync(IoBuffer buffer, long offset, bool durable = false)
    {
        while (buffer.Length > 0)
        {
            int written = await WritePartAsync(buffer, offset, durable);
            if (IsInterrupted(written))
            {
                continue;
            }

            if (written <= 0)
            {
                return written < 0 ? written : -Libc.EIO;
            }

            buffer = buffer.Slice(written);
            offset += written;
        }

        return 0;
    }

    /// <summary>Makes all that was written durable (fdatasync(2)).</summary>
    public abstract IoTask<int> SyncAsync();

    /// <summary>Allocates or deallocates a range (fallocate(2)).</summary>
    /// <param name="mode">FALLOC_FL_* flags.</param>
    /// <param name="offset">First byte.</param>
    /// <param name="length">Bytes.</param>
    public abstract IoTask<int> AllocateAsync(int mode, long offset, long length);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Reads; may read less than asked, and 0 at the end of the file.</summary>
    protected abstract IoTask<int> ReadPartAsync(IoBuffer buffer, long offset);

    /// <summary>Writes; may write less than asked.</summary>
    protected abstract IoTask<int> WritePartAsync(IoBuffer buffer, long offset, bool durable);

    /// <summary>Closes the file.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }

    private static bool IsInterrupted(int result) => result is -Libc.EINTR or -Libc.EAGAIN;
}
