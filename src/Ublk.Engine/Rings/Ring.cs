using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Rings;

/// <summary>One io_uring: entries are prepared, submitted in one system call, and their completions reaped.</summary>
/// <remarks>
/// Not thread-safe. A ring made for a queue belongs to the thread that made it: the kernel refuses every other
/// (IORING_SETUP_SINGLE_ISSUER).
/// </remarks>
internal unsafe class Ring : IDisposable
{
    private readonly RingMemory _memory;
    private readonly uint _sqMask;
    private readonly uint _cqMask;
    private readonly int _sqeShift;
    private readonly uint* _sqTail;
    private readonly uint* _sqFlags;
    private readonly uint* _cqHead;
    private readonly uint* _cqTail;
    private readonly IoUringCqe* _cqes;
    private int _enterFd;
    private uint _enterFlags;
    private uint _tail;
    private uint _submitted;

    /// <summary>Maps the memory of a ring.</summary>
    /// <exception cref="UblkException">It cannot be mapped.</exception>
    protected Ring(RingSetup setup)
    {
        SetupFlags = setup.Parameters.Flags;
        EntryCount = setup.Parameters.SqEntries;
        CompletionCount = setup.Parameters.CqEntries;
        _enterFd = (int)setup.Handle.DangerousGetHandle();
        _memory = new RingMemory(setup);
        _sqMask = EntryCount - 1;
        _cqMask = CompletionCount - 1;
        _sqeShift = (SetupFlags & IoUring.SetupSqe128) != 0 ? 7 : 6;
        _sqTail = _memory.At<uint>(setup.Parameters.Sq.Tail);
        _sqFlags = _memory.At<uint>(setup.Parameters.Sq.Flags);
        _cqHead = _memory.At<uint>(setup.Parameters.Cq.Head);
        _cqTail = _memory.At<uint>(setup.Parameters.Cq.Tail);
        _cqes = _memory.At<IoUringCqe>(setup.Parameters.Cq.Cqes);
        if ((SetupFlags & IoUring.SetupNoSqArray) == 0)
        {
            uint* array = _memory.At<uint>(setup.Parameters.Sq.Array);
            for (uint i = 0; i < EntryCount; i++)
            {
                array[i] = i;
            }
        }
    }

    /// <summary>The setup flags the kernel took (IORING_SETUP_*).</summary>
    public uint SetupFlags { get; }

    /// <summary>Entries the submission queue holds.</summary>
    public uint EntryCount { get; }

    /// <summary>Entries the completion queue holds.</summary>
    public uint CompletionCount { get; }

    /// <summary>Whether completions that found no room in the ring wait in the kernel: the next <see cref="Enter"/> brings them.</summary>
    public bool HasOverflowed => (Volatile.Read(ref *_sqFlags) & IoUring.SqCompletionOverflow) != 0;

    /// <summary>Makes the ring of a queue, for the calling thread alone.</summary>
    /// <param name="entries">Submissions a turn may hold.</param>
    /// <param name="completions">Operations that may be in flight at once.</param>
    /// <exception cref="UblkException">The kernel refuses it.</exception>
    public static Ring CreateForQueue(uint entries, uint completions)
    {
        Ring ring = new(RingSetup.Create(entries, completions, RingSetup.QueueFlags));
        ring.RegisterRingFd();
        return ring;
    }

    /// <summary>Makes a ring with 128-byte entries for the driver's control commands, usable from one thread at a time.</summary>
    /// <exception cref="UblkException">The kernel refuses it.</exception>
    public static Ring CreateForControl(uint entries) =>
        new(RingSetup.Create(entries, entries * 2, RingSetup.ControlFlags));

    /// <summary>The number of the entry that was prepared last, of all that ever were.</summary>
    public uint LastEntry => _tail - 1;

    /// <summary>Whether the kernel has taken an entry: what it points to can change until then, and not after.</summary>
    /// <param name="number">Its <see cref="LastEntry"/>.</param>
    public bool IsSubmitted(uint number) => (int)(_submitted - number) > 0;

    /// <summary>A cleared entry to fill; it goes to the kernel with the next <see cref="Enter"/>.</summary>
    /// <remarks>A full submission queue is submitted first, so this always succeeds.</remarks>
    /// <exception cref="UblkException">The kernel does not take submissions any more.</exception>
    public IoUringSqe* NextEntry()
    {
        IoUringSqe* entry = Claim();
        Unsafe.InitBlockUnaligned(entry, 0, 1u << _sqeShift);
        return entry;
    }

    /// <summary>
    /// As <see cref="NextEntry()"/>, but a copy of an entry that was prepared once; for rings whose entries have 64 bytes.
    /// </summary>
    /// <exception cref="UblkException">The kernel does not take submissions any more.</exception>
    public IoUringSqe* NextEntry(in IoUringSqe prepared)
    {
        IoUringSqe* entry = Claim();
        *entry = prepared;
        return entry;
    }

    /// <summary>Has the next entries submitted together, as linked ones must be: without room for them, submits what is prepared.</summary>
    /// <param name="count">How many.</param>
    /// <exception cref="UblkException">The kernel does not take submissions any more.</exception>
    public void Reserve(uint count)
    {
        if (EntryCount - (_tail - _submitted) < count)
        {
            int result = Enter(0, Timeout.InfiniteTimeSpan);
            if (EntryCount - (_tail - _submitted) < count)
            {
                throw UblkException.FromErrno(-result, "io_uring_enter", "The kernel takes no more submissions");
            }
        }
    }

    /// <summary>Submits what is prepared and waits for completions, in one system call.</summary>
    /// <param name="wait">Completions to wait for; 0 does not wait.</param>
    /// <param name="timeout">How long to wait at most, or <see cref="Timeout.InfiniteTimeSpan"/>.</param>
    /// <returns>0, or a negative errno: -ETIME when the time is up, -EBUSY or -EAGAIN when completions must be reaped first.</returns>
    public int Enter(uint wait, TimeSpan timeout)
    {
        Volatile.Write(ref *_sqTail, _tail);
        KernelTimespec limit;
        IoUringGetEventsArgument argument;
        void* extended = null;
        nuint size = 0;
        uint flags = _enterFlags;
        if (wait > 0)
        {
            flags |= IoUring.EnterGetEvents;
            if (timeout != Timeout.InfiniteTimeSpan)
            {
                limit = KernelTimespec.From(timeout);
                argument = new IoUringGetEventsArgument { Timeout = (ulong)&limit };
                extended = &argument;
                size = (nuint)sizeof(IoUringGetEventsArgument);
                flags |= IoUring.EnterExtArg;
            }
        }

        while (true)
        {
            uint pending = _tail - _submitted;
            int result = EnterKernel(pending, wait, flags, extended, size);
            if (result == -Libc.EINTR)
            {
                continue;
            }

            if (result < 0)
            {
                return result;
            }

            _submitted += (uint)result;

            // A submission cut short did not wait; nor does the kernel say whether a wait behind submissions timed out.
            if (result == pending)
            {
                return 0;
            }
        }
    }

    /// <summary>Takes the oldest completion.</summary>
    /// <returns>False when there is none.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryReap(out IoUringCqe completion)
    {
        uint head = *_cqHead;
        if (head == Volatile.Read(ref *_cqTail))
        {
            completion = default;
            return false;
        }

        completion = _cqes[head & _cqMask];
        Volatile.Write(ref *_cqHead, head + 1);
        return true;
    }

    /// <summary>Registers files, so that an entry may name one by its index (IOSQE_FIXED_FILE).</summary>
    /// <param name="files">The files.</param>
    /// <param name="spare">Indexes after them that have no file yet.</param>
    /// <exception cref="UblkException">The kernel refuses them.</exception>
    public void RegisterFiles(ReadOnlySpan<SafeFileHandle> files, int spare = 0)
    {
        int[] fds = NumbersOf(files, files.Length + spare);
        fixed (int* list = fds)
        {
            if (Libc.IoUringRegister(_memory.Fd, IoUring.RegisterFiles, list, (uint)fds.Length) < 0)
            {
                throw UblkException.FromErrno(Libc.LastErrno, "IORING_REGISTER_FILES", "Cannot register files with io_uring");
            }
        }
    }

    /// <summary>Replaces registered files; operations in flight keep the former ones.</summary>
    /// <param name="first">The first index that changes.</param>
    /// <param name="files">The files.</param>
    /// <param name="count">How many indexes change: those without a file have none after.</param>
    /// <exception cref="UblkException">The kernel refuses it.</exception>
    public void ReplaceFiles(int first, ReadOnlySpan<SafeFileHandle> files, int count)
    {
        fixed (int* fds = NumbersOf(files, count))
        {
            IoUringResourceUpdate update = new() { Offset = (uint)first, Data = (ulong)fds };
            int replaced = Libc.IoUringRegister(_memory.Fd, IoUring.RegisterFilesUpdate, &update, (uint)count);
            if (replaced != count)
            {
                // After the first index the kernel returns how many it has replaced, and not the error.
                throw UblkException.FromErrno(
                    replaced < 0 ? Libc.LastErrno : Libc.EIO, "IORING_REGISTER_FILES_UPDATE", "Cannot register files with io_uring");
            }
        }
    }

    /// <summary>Registers a table of empty buffer slots for the driver to put requests' pages in.</summary>
    /// <param name="count">Slots; the kernel takes 16384 at most.</param>
    /// <exception cref="UblkException">The kernel refuses it.</exception>
    public void RegisterBufferTable(int count)
    {
        IoUringResourceTable table = new() { Count = (uint)count, Flags = IoUring.RegisterSparse };
        if (Libc.IoUringRegister(_memory.Fd, IoUring.RegisterBuffers2, &table, (uint)sizeof(IoUringResourceTable)) < 0)
        {
            throw UblkException.FromErrno(Libc.LastErrno, "IORING_REGISTER_BUFFERS2", "Cannot register buffers with io_uring");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>The system call; a test's double of the ring answers in the kernel's place.</summary>
    /// <returns>Submissions taken, or a negative errno.</returns>
    protected virtual int EnterKernel(uint submissions, uint wait, uint flags, void* extended, nuint size)
    {
        int result = Libc.IoUringEnter(_enterFd, submissions, wait, flags, extended, size);
        return result < 0 ? -Libc.LastErrno : result;
    }

    /// <summary>Unmaps the ring.</summary>
    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
        {
            _memory.Dispose();
        }
    }

    // The kernel takes -1 for no file.
    private static int[] NumbersOf(ReadOnlySpan<SafeFileHandle> files, int count)
    {
        int[] numbers = new int[count];
        Array.Fill(numbers, -1);
        for (int i = 0; i < files.Length; i++)
        {
            numbers[i] = (int)files[i].DangerousGetHandle();
        }

        return numbers;
    }

    // The next place of the submission queue, which is submitted first when it is full.
    private IoUringSqe* Claim()
    {
        Reserve(1);
        return (IoUringSqe*)((byte*)_memory.Entries + ((nint)(_tail++ & _sqMask) << _sqeShift));
    }

    // Saves the look-up of the descriptor on each enter; a kernel without it (before 5.18) loses only that.
    private void RegisterRingFd()
    {
        IoUringResourceUpdate update = new() { Offset = uint.MaxValue, Data = (ulong)_memory.Fd };
        if (Libc.IoUringRegister(_memory.Fd, IoUring.RegisterRingFds, &update, 1) == 1)
        {
            _enterFd = (int)update.Offset;
            _enterFlags = IoUring.EnterRegisteredRing;
        }
    }
}
