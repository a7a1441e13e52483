using Microsoft.Win32.SafeHandles;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Rings;
using Ublk.Tests.Serving;

namespace Ublk.Instructions;

/// <summary>
/// A double of a queue's ring that keeps every tag busy with 4 KiB requests, one after the other over the disk, until a number of
/// them is answered. The target's own operations are done at once, with system calls, and complete at the next wait.
/// </summary>
internal sealed unsafe class ReplayedRing : RingDouble
{
    private const int RequestSize = 4096;

    // The device's node and the wake-up come before the target's files.
    private const int FirstFile = 2;

    private readonly UblkIoDescriptor* _descriptors;
    private readonly SafeFileHandle[] _files;
    private readonly IoOperation _operation;
    private readonly long _blocks;
    private readonly uint[] _free;
    private int _freeCount;
    private IoUringSqe _wakeUp;
    private bool _isDue;
    private long _left;
    private long _next;

    /// <summary>Takes a ring.</summary>
    /// <param name="setup">The ring.</param>
    /// <param name="descriptors">The memory of the requests' descriptors.</param>
    /// <param name="files">The target's files.</param>
    /// <param name="operation">What every request does.</param>
    /// <param name="size">The disk's size in bytes.</param>
    /// <param name="depth">The queue's tags.</param>
    /// <param name="requests">Requests until the queue ends; not fewer than tags.</param>
    public ReplayedRing(RingSetup setup, nint descriptors, IEnumerable<SafeFileHandle> files, IoOperation operation, long size, int depth,
        long requests)
        : base(setup)
    {
        _descriptors = (UblkIoDescriptor*)descriptors;
        _files = [.. files];
        _operation = operation;
        _blocks = size / RequestSize;
        _free = new uint[depth];
        _left = requests;
    }

    /// <summary>The first result other than that of a whole request, or 0.</summary>
    public int Failure { get; private set; }

    protected override void Take(IoUringSqe* entry)
    {
        switch (entry->Opcode)
        {
            case IoUring.OpUringCmd:
                UblkIoCommand* command = (UblkIoCommand*)&entry->Command;
                if (entry->CommandOp == UblkAbi.IoCommitAndFetch && command->Result != RequestSize && Failure == 0)
                {
                    Failure = command->Result;
                }

                _free[_freeCount++] = command->Tag;
                break;
            case IoUring.OpRead when entry->Fd >= FirstFile:
                _isDue = true;
                Post(entry->UserData, Done(Libc.PRead(FileOf(entry), (nint)entry->Address, (nint)entry->Length, (long)entry->Offset)));
                break;
            case IoUring.OpWrite:
                _isDue = true;
                Post(entry->UserData, Done(Libc.PWrite(FileOf(entry), (nint)entry->Address, (nint)entry->Length, (long)entry->Offset)));
                break;
            case IoUring.OpRead:
                _wakeUp = *entry;
                break;
            case IoUring.OpTimeout:
                // No time passes.
                break;
            default:
                Failure = -Libc.EOPNOTSUPP;
                break;
        }
    }

    protected override void Wait()
    {
        if (_freeCount == 0 && !_isDue)
        {
            WaitForWakeUp();
        }

        _isDue = false;
        while (_freeCount > 0)
        {
            uint tag = _free[--_freeCount];
            if (_left-- <= 0)
            {
                Post(tag, -Libc.ENODEV);
                continue;
            }

            _descriptors[tag] = new UblkIoDescriptor
            {
                OpFlags = (uint)_operation,
                StartSector = (ulong)(_next++ % _blocks * (RequestSize / 512)),
                SectorCount = RequestSize / 512,
            };
            Post(tag, 0);
        }
    }

    // Requests wait for each other where they need the same table.
    private void WaitForWakeUp()
    {
        SafeFileHandle file = ((QueueSynchronizationContext)SynchronizationContext.Current!).WakeUpFile;
        Post(_wakeUp.UserData, RandomAccess.Read(file, new Span<byte>((void*)_wakeUp.Address, (int)_wakeUp.Length), 0));
    }

    private int FileOf(IoUringSqe* entry) => (int)_files[entry->Fd - FirstFile].DangerousGetHandle();

    private static int Done(nint result) => result < 0 ? -Libc.LastErrno : (int)result;
}
