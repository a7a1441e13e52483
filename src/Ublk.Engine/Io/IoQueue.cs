using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;
using Ublk.Rings;

namespace Ublk.Io;

/// <summary>What a target does its I/O with: operations on a queue's ring, awaited on the queue's thread.</summary>
/// <remarks>
/// Each method prepares one entry; all entries of a turn reach the kernel in one system call. A result is what the
/// system call of that name returns, or a negative errno: nothing here throws for a failed operation. Await each
/// returned task once, at once.
/// </remarks>
public sealed class IoQueue : IDisposable
{
    // The top bits distinguish a target's operations and the wake-up from the driver's commands, which carry their tag.
    private const ulong OperationMark = 1UL << 63;
    private const ulong WakeUpMark = 1UL << 62;

    // A socket that is not full takes it as it is submitted.
    private const int ExpectedLength = 32 << 10;

    // Room for the files of another target in place of the first one. An index costs the kernel eight bytes.
    private const int SpareFiles = 256;

    // Longer than a server on this machine takes, and not long where a socket is full.
    private static readonly TimeSpan s_expectedTime = TimeSpan.FromMilliseconds(1);

    private static readonly Lazy<bool> s_hasFixedSockets = new(ProbeFixedSockets);
    private static readonly Lazy<SafeFileHandle> s_zeroes = new(() => Libc.Open("/dev/zero", Libc.O_RDONLY));

    [ThreadStatic]
    private static IoQueue? t_current;

    private readonly Ring _ring;
    private readonly RingOperationPool _operations = new();
    private readonly QueueSynchronizationContext _context;
    private readonly int _wakeUpFile;
    private readonly int _firstFile;
    private readonly int _fileRoom;
    private uint _expected;

    /// <summary>Makes the queue for the calling thread, which alone may use it from then on.</summary>
    /// <param name="entries">Requests the thread holds at once.</param>
    /// <param name="ownFiles">Files of the engine itself, registered before the target's.</param>
    /// <param name="targetFiles">The target's files; its operations name one by its index here.</param>
    internal IoQueue(int entries, ReadOnlySpan<SafeFileHandle> ownFiles, IReadOnlyList<SafeFileHandle> targetFiles)
        : this(CreateRing(entries), ownFiles, targetFiles)
    {
    }

    /// <summary>Creates the queue on an existing ring and takes ownership of it.</summary>
    internal IoQueue(Ring ring, ReadOnlySpan<SafeFileHandle> ownFiles, IReadOnlyList<SafeFileHandle> targetFiles)
    {
        _ring = ring;
        try
        {
            _context = new QueueSynchronizationContext();
            _wakeUpFile = ownFiles.Length;
            _firstFile = ownFiles.Length + 1;
            _fileRoom = targetFiles.Count + SpareFiles;
            _ring.RegisterFiles([.. ownFiles, _context.WakeUpFile, .. targetFiles], SpareFiles);
            MakeCurrent();
            ListenForWakeUps();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The queue of the calling thread; null on a thread that has none.</summary>
    internal static IoQueue? Current => t_current;

    /// <summary>The ring, for the engine's own commands.</summary>
    internal Ring Ring => _ring;

    /// <summary>Creates the ring of a thread with this many tags.</summary>
    /// <exception cref="UblkException">The kernel refuses it.</exception>
    /// <remarks>It has room for each tag's command and an operation of its target, and the wake-up; overflow is only slower.</remarks>
    internal static Ring CreateRing(int entries) => Ring.CreateForQueue((uint)entries + 1, ((uint)entries * 2) + 2);

    /// <summary>Has operations that begin on the thread from now on belong to this queue, where the thread made several.</summary>
    internal void MakeCurrent()
    {
        SynchronizationContext.SetSynchronizationContext(_context);
        t_current = this;
    }

    /// <summary>Reads into a buffer; may read less than asked, and 0 at the end of the file.</summary>
    /// <param name="file">Index of the file in <see cref="Targets.BlockTarget.Files"/>.</param>
    /// <param name="buffer">Where the data goes.</param>
    /// <param name="offset">First byte in the file.</param>
    public IoTask<int> ReadAsync(int file, IoBuffer buffer, long offset) =>
        Transfer(IoUring.OpRead, file, buffer, offset, 0);

    /// <summary>Writes from a buffer; may write less than asked.</summary>
    /// <param name="file">Index of the file in <see cref="Targets.BlockTarget.Files"/>.</param>
    /// <param name="buffer">The data.</param>
    /// <param name="offset">First byte in the file.</param>
    /// <param name="durable">Whether the data must be durable when the write completes (RWF_DSYNC).</param>
    public IoTask<int> WriteAsync(int file, IoBuffer buffer, long offset, bool durable = false) =>
        Transfer(IoUring.OpWrite, file, buffer, offset, durable ? (uint)Libc.RWF_DSYNC : 0);

    /// <summary>Fills a buffer with zeroes; may fill less than asked.</summary>
    public IoTask<int> ReadZeroesAsync(IoBuffer buffer)
    {
        if (buffer.IsMemory)
        {
            buffer.Span.Clear();
            return buffer.Length;
        }

        return ReadAsync(s_zeroes.Value, buffer);
    }

    /// <summary>Makes a file's data durable (fdatasync(2)).</summary>
    /// <param name="file">Index of the file in <see cref="Targets.BlockTarget.Files"/>.</param>
    public unsafe IoTask<int> SyncDataAsync(int file)
    {
        IoUringSqe* entry = Prepare(IoUring.OpFsync, file, out RingOperation operation);
        entry->OpFlags = IoUring.FsyncDataSync;
        return operation.Task;
    }

    /// <summary>Allocates, deallocates or zeroes a range (fallocate(2)).</summary>
    /// <param name="file">Index of the file in <see cref="Targets.BlockTarget.Files"/>.</param>
    /// <param name="mode">FALLOC_FL_* flags.</param>
    /// <param name="offset">First byte of the range.</param>
    /// <param name="length">Bytes in the range.</param>
    public unsafe IoTask<int> AllocateAsync(int file, int mode, long offset, long length)
    {
        IoUringSqe* entry = Prepare(IoUring.OpFallocate, file, out RingOperation operation);
        entry->Offset = (ulong)offset;
        entry->Address = (ulong)length;
        entry->Length = (uint)mode;
        return operation.Task;
    }

    /// <summary>Sends from a buffer (send(2)); may send less than asked.</summary>
    /// <param name="file">Index of the socket in <see cref="Targets.BlockTarget.Files"/>.</param>
    /// <param name="buffer">The data.</param>
    public IoTask<int> SendAsync(int file, IoBuffer buffer)
    {
        Expect(buffer.Length);
        return TransferBySocket(IoUring.OpSend, file, buffer, Libc.MSG_NOSIGNAL | Libc.MSG_WAITALL);
    }

    /// <summary>Receives into a buffer (recv(2)); may receive less than asked, and 0 at the end of the connection.</summary>
    /// <param name="file">Index of the socket in <see cref="Targets.BlockTarget.Files"/>.</param>
    /// <param name="buffer">Where the data goes.</param>
    public IoTask<int> ReceiveAsync(int file, IoBuffer buffer) => ReceiveAsync(file, buffer, isWhole: false);

    /// <summary>Sends all of a buffer. Other operations that send must wait for the end of this one.</summary>
    /// <param name="file">Index of the socket in <see cref="Targets.BlockTarget.Files"/>.</param>
    /// <param name="buffer">The data.</param>
    /// <returns>The buffer's length, or a negative errno.</returns>
    public async IoTask<int> SendAllAsync(int file, IoBuffer buffer)
    {
        for (int done = 0; done < buffer.Length;)
        {
            int sent = await SendAsync(file, buffer.Slice(done));
            if (sent < 0 && sent != -Libc.EINTR)
            {
                return sent;
            }

            done += int.Max(sent, 0);
        }

        return buffer.Length;
    }

    /// <summary>Fills a buffer with what is received. Other operations that receive must wait for the end of this one.</summary>
    /// <param name="file">Index of the socket in <see cref="Targets.BlockTarget.Files"/>.</param>
    /// <param name="buffer">Where the data goes.</param>
    /// <returns>The buffer's length, less at the end of the connection, or a negative errno.</returns>
    public async IoTask<int> ReceiveAllAsync(int file, IoBuffer buffer)
    {
        int done = 0;
        while (done < buffer.Length)
        {
            int received = await ReceiveAsync(file, buffer.Slice(done), isWhole: true);
            if (received < 0 && received != -Libc.EINTR)
            {
                return received;
            }

            if (received == 0)
            {
                break;
            }

            done += int.Max(received, 0);
        }

        return done;
    }

    /// <summary>Receives into a buffer, and may receive less than asked.</summary>
    /// <param name="file">Index of the socket in <see cref="Targets.BlockTarget.Files"/>.</param>
    /// <param name="buffer">Where the data goes.</param>
    /// <param name="isWhole">Whether the kernel, if it can, waits until the buffer is full.</param>
    internal IoTask<int> ReceiveAsync(int file, IoBuffer buffer, bool isWhole) =>
        TransferBySocket(IoUring.OpReceive, file, buffer, isWhole ? Libc.MSG_WAITALL : 0);

    /// <summary>Sends what a message names (sendmsg(2)); may send less.</summary>
    /// <param name="file">Index of the socket in <see cref="Targets.BlockTarget.Files"/>.</param>
    /// <param name="message">The message. It can be added to until it is submitted, and must then stay as it is until it is sent.</param>
    /// <param name="length">Bytes of the message.</param>
    /// <param name="isLinked">
    /// Whether the operation that is prepared next follows when all of the message is sent, and ends with -ECANCELED otherwise.
    /// </param>
    /// <param name="number">What <see cref="IsSubmitted"/> takes.</param>
    internal unsafe IoTask<int> SendMessageAsync(
        int file, Libc.MessageHeader* message, long length, bool isLinked, out uint number)
    {
        Expect(length);
        if (isLinked)
        {
            // Entries that are submitted apart are not linked.
            _ring.Reserve(2);
        }

        IoUringSqe* entry = PrepareMessage(
            IoUring.OpSendMsg, file, message, Libc.MSG_NOSIGNAL | (isLinked ? Libc.MSG_WAITALL : 0), out RingOperation operation);
        entry->Flags |= isLinked ? IoUring.SqeLink : (byte)0;
        number = _ring.LastEntry;
        return operation.Task;
    }

    /// <summary>Receives into the memory that a message names (recvmsg(2)); 0 at the end of the connection.</summary>
    /// <param name="file">Index of the socket in <see cref="Targets.BlockTarget.Files"/>.</param>
    /// <param name="message">The message; it must stay as it is until data has come.</param>
    /// <param name="expectsNothing">Whether no data can be there yet, so that an attempt is not worth it.</param>
    /// <param name="isWhole">Whether to wait until the memory is full, or the connection ends.</param>
    internal unsafe IoTask<int> ReceiveMessageAsync(
        int file, Libc.MessageHeader* message, bool expectsNothing, bool isWhole)
    {
        IoUringSqe* entry =
            PrepareMessage(IoUring.OpRecvMsg, file, message, isWhole ? Libc.MSG_WAITALL : 0, out RingOperation operation);
        entry->IoPriority = expectsNothing ? IoUring.PollFirst : (ushort)0;
        return operation.Task;
    }

    /// <summary>Reads from a file that is not registered, and stays open until the kernel has taken the operation.</summary>
    internal unsafe IoTask<int> ReadAsync(SafeFileHandle file, IoBuffer buffer)
    {
        IoUringSqe* entry = Prepare(IoUring.OpRead, 0, out RingOperation operation);
        entry->Flags = 0;
        entry->Fd = (int)file.DangerousGetHandle();
        SetBuffer(entry, buffer);
        return operation.Task;
    }

    /// <summary>Registers the file that one of the target's handles refers to now. Operations in flight keep the former one.</summary>
    /// <param name="file">Index of the handle in <see cref="Targets.BlockTarget.Files"/>.</param>
    /// <param name="handle">The handle.</param>
    /// <exception cref="UblkException">The kernel refuses it.</exception>
    internal void ReplaceFile(int file, SafeFileHandle handle) => _ring.ReplaceFiles(_firstFile + file, [handle], 1);

    /// <summary>Replaces the registered files by those of another target, or by none. No operation may be in flight.</summary>
    /// <exception cref="UblkException">There is no room for them, or the kernel refuses them.</exception>
    internal void ReplaceFiles(IReadOnlyList<SafeFileHandle> files)
    {
        if (files.Count > _fileRoom)
        {
            throw new UblkException(UblkError.NotSupported,
                $"The disk would have {files.Count} files, and its worker has room for {_fileRoom}.", operation: "open");
        }

        _ring.ReplaceFiles(_firstFile, [.. files], _fileRoom);
    }

    /// <summary>Whether the kernel has taken an operation.</summary>
    /// <param name="number">The operation's number.</param>
    internal bool IsSubmitted(uint number) => _ring.IsSubmitted(number);

    /// <summary>Waits without keeping the queue's thread from its other requests.</summary>
    /// <param name="time">For how long.</param>
    public unsafe IoTask<int> DelayAsync(TimeSpan time)
    {
        IoUringSqe* entry = _ring.NextEntry();
        RingOperation operation = _operations.Rent();
        operation.Time[0] = KernelTimespec.From(time);
        entry->Opcode = IoUring.OpTimeout;
        entry->Address = (ulong)Unsafe.AsPointer(ref operation.Time[0]);
        entry->Length = 1;
        entry->UserData = OperationMark | (uint)operation.Index;
        return operation.Task;
    }

    /// <summary>Whether it is of no use any more. Readable from any thread.</summary>
    internal bool IsDisposed { get; private set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        IsDisposed = true;
        if (t_current == this)
        {
            t_current = null;
            SynchronizationContext.SetSynchronizationContext(null);
        }

        _ring.Dispose();
        _context?.Dispose();
    }

    /// <summary>Submits what is prepared, and waits for completions.</summary>
    /// <returns>0, or a negative errno: -EBUSY or -EAGAIN when completions must be reaped first.</returns>
    /// <remarks>
    /// What is sent completes at once as a rule, and is nothing to wake up for: it is waited for together with the next completion.
    /// </remarks>
    internal int Wait()
    {
        uint expected = _expected;
        _expected = 0;
        int result = _ring.Enter(1 + expected, expected == 0 ? Timeout.InfiniteTimeSpan : s_expectedTime);
        return result == -Libc.ETIME ? 0 : result;
    }

    /// <summary>Waits for completions, and resumes the methods that await them; for a queue without commands of the driver.</summary>
    /// <param name="timeout">For how long to wait.</param>
    /// <returns>0, or a negative errno: -ETIME when none came.</returns>
    internal int RunTurn(TimeSpan timeout)
    {
        int result = _ring.Enter(1, timeout);
        while (_ring.TryReap(out IoUringCqe completion))
        {
            TryComplete(completion);
        }

        return result;
    }

    /// <summary>Has the queue's thread do something. Callable from any thread.</summary>
    internal void Post(SendOrPostCallback callback, object? state) => _context.Post(callback, state);

    /// <summary>Resumes the method that awaits the completed operation, or runs what other threads posted.</summary>
    /// <returns>False for a completion of the driver's commands.</returns>
    internal bool TryComplete(in IoUringCqe completion)
    {
        if ((completion.UserData & OperationMark) != 0)
        {
            _operations[(int)completion.UserData].Complete(completion.Result);
            return true;
        }

        if (completion.UserData == WakeUpMark)
        {
            ListenForWakeUps();
            _context.RunPosted();
            return true;
        }

        return false;
    }

    private unsafe IoUringSqe* PrepareMessage(
        byte opcode, int file, Libc.MessageHeader* message, int flags, out RingOperation operation)
    {
        IoUringSqe* entry = Prepare(opcode, file, out operation);
        entry->Address = (ulong)message;
        entry->Length = 1;
        entry->OpFlags = (uint)flags;
        return entry;
    }

    private unsafe IoTask<int> Transfer(byte opcode, int file, IoBuffer buffer, long offset, uint flags)
    {
        IoUringSqe* entry = Prepare(opcode, file, out RingOperation operation);
        entry->Offset = (ulong)offset;
        entry->OpFlags = flags;
        SetBuffer(entry, buffer);
        return operation.Task;
    }

    private static unsafe void SetBuffer(IoUringSqe* entry, IoBuffer buffer)
    {
        entry->Address = (ulong)buffer.Address;
        entry->Length = (uint)buffer.Length;
        if (!buffer.IsMemory)
        {
            entry->Opcode = entry->Opcode == IoUring.OpRead ? IoUring.OpReadFixed : IoUring.OpWriteFixed;
            entry->BufferIndex = (ushort)buffer.Slot;
        }
    }

    // Without operations of sockets for registered buffers there are those of files. They stop where the socket is full or empty.
    private unsafe IoTask<int> TransferBySocket(byte opcode, int file, IoBuffer buffer, int flags)
    {
        if (!buffer.IsMemory && !s_hasFixedSockets.Value)
        {
            return Transfer(opcode == IoUring.OpReceive ? IoUring.OpRead : IoUring.OpWrite, file, buffer, 0, 0);
        }

        IoUringSqe* entry = Prepare(opcode, file, out RingOperation operation);
        entry->Address = (ulong)buffer.Address;
        entry->Length = (uint)buffer.Length;
        entry->OpFlags = (uint)flags;
        if (!buffer.IsMemory)
        {
            entry->IoPriority = IoUring.SocketFixedBuffer;
            entry->BufferIndex = (ushort)buffer.Slot;
        }

        return operation.Task;
    }

    private void Expect(long length) => _expected += length <= ExpectedLength ? 1u : 0;

    // A kernel that takes the flag looks for the file next.
    private static unsafe bool ProbeFixedSockets()
    {
        using Ring ring = Ring.CreateForControl(2);
        foreach (byte opcode in (ReadOnlySpan<byte>)[IoUring.OpSend, IoUring.OpReceive])
        {
            IoUringSqe* entry = ring.NextEntry();
            entry->Opcode = opcode;
            entry->Fd = -1;
            entry->IoPriority = IoUring.SocketFixedBuffer;
        }

        return ring.Enter(2, Timeout.InfiniteTimeSpan) == 0
            && ring.TryReap(out IoUringCqe first) && first.Result == -Libc.EBADF
            && ring.TryReap(out IoUringCqe second) && second.Result == -Libc.EBADF;
    }

    private unsafe IoUringSqe* Prepare(byte opcode, int file, out RingOperation operation)
    {
        IoUringSqe* entry = _ring.NextEntry();
        operation = _operations.Rent();
        entry->Opcode = opcode;
        entry->Flags = IoUring.SqeFixedFile;
        entry->Fd = _firstFile + file;
        entry->UserData = OperationMark | (uint)operation.Index;
        return entry;
    }

    // Reads the eventfd that other threads write.
    private unsafe void ListenForWakeUps()
    {
        IoUringSqe* entry = _ring.NextEntry();
        entry->Opcode = IoUring.OpRead;
        entry->Flags = IoUring.SqeFixedFile;
        entry->Fd = _wakeUpFile;
        entry->Address = (ulong)_context.WakeUpBuffer;
        entry->Length = sizeof(ulong);
        entry->UserData = WakeUpMark;
    }
}
