using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Rings;

namespace Ublk.Client;

/// <summary>
/// A queue's real ring, whose client keeps every tag busy: each command to the driver is submitted as a no-operation, which completes at
/// once, as if the next request had been there.
/// </summary>
internal sealed unsafe class BusyRing : Ring
{
    /// <summary>Bytes of each request.</summary>
    public const int RequestSize = 4096;

    private const byte OpNop = 0;

    private readonly IoUringSqe* _entries;
    private readonly UblkIoDescriptor* _descriptors;
    private readonly IoOperation _operation;
    private readonly long _blocks;
    private readonly Random _random = new(1);
    private readonly bool[] _isFilled;
    private uint _taken;
    private long _answered;
    private volatile bool _isEnding;

    /// <summary>Takes a ring.</summary>
    /// <param name="setup">The ring.</param>
    /// <param name="node">The file of the requests' descriptors.</param>
    /// <param name="operation">What every request does.</param>
    /// <param name="size">The disk's size in bytes.</param>
    /// <param name="depth">The queue's tags.</param>
    public BusyRing(RingSetup setup, SafeFileHandle node, IoOperation operation, long size, int depth)
        : base(setup)
    {
        _entries = (IoUringSqe*)new RingMemory(setup).Entries;
        _descriptors = (UblkIoDescriptor*)Libc.MMap(
            (nuint)Environment.SystemPageSize, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_SHARED, node, 0);
        _operation = operation;
        _blocks = size / RequestSize;
        _isFilled = new bool[depth];
    }

    /// <summary>Requests that were answered so far. Readable from any thread.</summary>
    public long Answered => Volatile.Read(ref _answered);

    /// <summary>The first result other than that of a whole request, or 0.</summary>
    public int Failure { get; private set; }

    /// <summary>Sends no more requests.</summary>
    public void End() => _isEnding = true;

    /// <inheritdoc/>
    protected override int EnterKernel(uint submissions, uint wait, uint flags, void* extended, nuint size)
    {
        for (uint index = 0; index < submissions; index++)
        {
            Take(_entries + ((_taken + index) & (EntryCount - 1)));
        }

        int result = base.EnterKernel(submissions, wait, flags, extended, size);
        _taken += (uint)int.Max(result, 0);
        return result;
    }

    private void Take(IoUringSqe* entry)
    {
        if (entry->Opcode != IoUring.OpUringCmd)
        {
            return;
        }

        UblkIoCommand command = *(UblkIoCommand*)&entry->Command;
        ulong tag = entry->UserData;
        if (entry->CommandOp == UblkAbi.IoCommitAndFetch)
        {
            Volatile.Write(ref _answered, _answered + 1);
            Failure = command.Result != RequestSize && Failure == 0 ? command.Result : Failure;
        }

        if (!_isFilled[tag])
        {
            _isFilled[tag] = true;
            _random.NextBytes(new Span<byte>((void*)command.Address, RequestSize));
        }

        _descriptors[tag] = new UblkIoDescriptor
        {
            OpFlags = (uint)_operation,
            StartSector = (ulong)(_random.NextInt64(_blocks) * (RequestSize / 512)),
            SectorCount = RequestSize / 512,
        };
        *entry = default;
        entry->Opcode = OpNop;
        entry->UserData = tag;
        entry->Flags = _isEnding ? IoUring.SqeSkipSuccess : (byte)0;
    }
}
