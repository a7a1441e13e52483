using Ublk.Control;
using Ublk.Interop;
using Ublk.Rings;

namespace Ublk.Tests.Serving;

/// <summary>A queue's real ring without a driver: commands to the driver are submitted as no-operations.</summary>
/// <param name="setup">The ring.</param>
internal abstract unsafe class DriverlessRing(RingSetup setup) : Ring(setup)
{
    private const byte OpNop = 0;

    private readonly IoUringSqe* _entries = (IoUringSqe*)new RingMemory(setup).Entries;
    private uint _taken;

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

    /// <summary>Handles a command to the driver.</summary>
    /// <param name="command">The command.</param>
    /// <param name="isCommit">Whether it commits the result of a request.</param>
    /// <returns>Whether the no-operation completes at once, as a command does when the next request has arrived.</returns>
    protected abstract bool Handle(UblkIoCommand command, bool isCommit);

    private void Take(IoUringSqe* entry)
    {
        if (entry->Opcode != IoUring.OpUringCmd)
        {
            return;
        }

        UblkIoCommand command = *(UblkIoCommand*)&entry->Command;
        ulong userData = entry->UserData;
        bool completes = Handle(command, entry->CommandOp == UblkAbi.IoCommitAndFetch);
        *entry = default;
        entry->Opcode = OpNop;
        entry->UserData = userData;
        entry->Flags = completes ? (byte)0 : IoUring.SqeSkipSuccess;
    }
}
