using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Io;

/// <summary>Copies bytes to a buffer that is no memory of this process: through a pipe, from which the ring reads.</summary>
internal sealed class SlotFiller : IDisposable
{
    private SafeFileHandle? _output;
    private SafeFileHandle? _input;

    /// <summary>Copies bytes to the start of a buffer; may copy less, but at least one. One copy is in flight at a time.</summary>
    /// <returns>How many bytes, or a negative errno, after which the object is of no use any more.</returns>
    public unsafe IoTask<int> FillAsync(IoQueue queue, ReadOnlySpan<byte> bytes, IoBuffer buffer)
    {
        int errno = _output is null ? Open() : 0;
        if (errno != 0)
        {
            return -errno;
        }

        fixed (byte* data = bytes)
        {
            nint written = Libc.Write((int)_input!.DangerousGetHandle(), data, bytes.Length);
            return written < 0
                ? -Libc.LastErrno
                : queue.ReadAsync(_output!, buffer.Slice(0, (int)written));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _output?.Dispose();
        _input?.Dispose();
    }

    private unsafe int Open()
    {
        int* ends = stackalloc int[2];
        if (Libc.Pipe(ends, Libc.O_CLOEXEC | Libc.O_NONBLOCK) != 0)
        {
            return Libc.LastErrno;
        }

        _output = new SafeFileHandle(ends[0], ownsHandle: true);
        _input = new SafeFileHandle(ends[1], ownsHandle: true);
        return 0;
    }
}
