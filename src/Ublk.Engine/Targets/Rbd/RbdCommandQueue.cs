using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Targets.Rbd;

/// <summary>
/// The requests of an image that are in flight. librbd writes to an eventfd when some complete; the queue's ring reads it, and the
/// queue's thread takes the completions. Nothing managed runs on librbd's threads.
/// </summary>
internal sealed unsafe class RbdCommandQueue : IDisposable
{
    private const int MaxCompletions = 64;

    private readonly nint _image;
    private readonly int _file;

    // The ring writes here, also while the collector runs.
    private readonly ulong[] _count = GC.AllocateArray<ulong>(1, pinned: true);
    private readonly Action _takeCompletions;
    private RbdCommand[] _commands = [];
    private RbdCommand? _free;
    private int _commandCount;
    private int _active;
    private IoQueue? _queue;
    private IoTaskAwaiter<int> _notification;

    /// <summary>Prepares an image for asynchronous requests.</summary>
    /// <param name="image">The image.</param>
    /// <param name="index">The eventfd's index among the files of the queue.</param>
    /// <exception cref="UblkException">There is no eventfd, or librbd refuses it.</exception>
    public RbdCommandQueue(RbdImage image, int index)
    {
        _image = image.Handle;
        _file = index;
        _takeCompletions = TakeCompletions;
        int file = Libc.EventFd(0, Libc.EFD_CLOEXEC);
        EventFile = file >= 0
            ? new SafeFileHandle(file, ownsHandle: true)
            : throw UblkException.FromErrno(Libc.LastErrno, "eventfd", "Cannot make an eventfd");
        try
        {
            image.Notify(file);
        }
        catch
        {
            EventFile.Dispose();
            throw;
        }
    }

    /// <summary>The eventfd, the first file of the target.</summary>
    public SafeFileHandle EventFile { get; }

    /// <summary>Hands a request to librbd.</summary>
    /// <param name="request">Its operation and flags, its buffer and its queue.</param>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">Bytes from there.</param>
    /// <returns>What librbd returns: bytes for a read, else 0, or a negative errno.</returns>
    public IoTask<int> SubmitAsync(IoRequest request, long offset, long length)
    {
        RbdCommand command = Rent();
        int result = LibRbd.CreateCompletion(command.Index, 0, out nint completion);
        if (result >= 0)
        {
            result = Start(request, (ulong)offset, (nuint)length, completion);
            if (result < 0)
            {
                LibRbd.Release(completion);
            }
        }

        if (result < 0)
        {
            Return(command);
            return result;
        }

        // Only while something is in flight: a queue that ends must not leave a read behind.
        _active++;
        if (_queue is null)
        {
            _queue = request.Queue;
            Listen();
        }

        return command.Task;
    }

    /// <summary>Makes a command available again after its result has been read.</summary>
    public void Return(RbdCommand command)
    {
        command.Next = _free;
        _free = command;
    }

    /// <inheritdoc/>
    public void Dispose() => EventFile.Dispose();

    private int Start(IoRequest request, ulong offset, nuint length, nint completion) => request.Operation switch
    {
        IoOperation.Read => LibRbd.Read(_image, offset, length, request.Buffer.Address, completion),
        IoOperation.Write => LibRbd.Write(_image, offset, length, request.Buffer.Address, completion),
        IoOperation.Discard => LibRbd.Discard(_image, offset, length, completion),
        IoOperation.WriteZeroes => LibRbd.WriteZeroes(_image, offset, length, completion,
            request.MustStayAllocated ? LibRbd.RBD_WRITE_ZEROES_FLAG_THICK_PROVISION : 0, 0),
        IoOperation.Flush => LibRbd.Flush(_image, completion),
        _ => -Libc.EOPNOTSUPP,
    };

    private void Listen()
    {
        IoBuffer buffer = new(Marshal.UnsafeAddrOfPinnedArrayElement(_count, 0), sizeof(ulong));
        Await(_queue!.ReadAsync(_file, buffer, 0));
    }

    // Without an async method, which would have to be awaited itself.
    private void Await(IoTask<int> notification)
    {
        _notification = notification.GetAwaiter();
        _notification.UnsafeOnCompleted(_takeCompletions);
    }

    private void TakeCompletions()
    {
        // Its value is of no interest: what has completed is in librbd's own list.
        _ = _notification.GetResult();
        nint* completions = stackalloc nint[MaxCompletions];
        int count;
        do
        {
            count = LibRbd.Poll(_image, completions, MaxCompletions);
            for (int index = 0; index < count; index++)
            {
                RbdCommand command = _commands[(int)LibRbd.GetArgument(completions[index])];
                int result = (int)LibRbd.GetResult(completions[index]);
                LibRbd.Release(completions[index]);
                _active--;
                command.Complete(result);
            }
        }
        while (count == MaxCompletions);

        if (_active > 0)
        {
            Listen();
        }
        else
        {
            _queue = null;
        }
    }

    private RbdCommand Rent()
    {
        RbdCommand command = _free ?? Add();
        _free = command.Next;
        command.Next = null;
        return command;
    }

    private RbdCommand Add()
    {
        if (_commandCount == _commands.Length)
        {
            Array.Resize(ref _commands, int.Max(16, _commandCount * 2));
        }

        return _commands[_commandCount] = new RbdCommand(this, _commandCount++);
    }
}
