using Ublk.Interop;
using Ublk.Rings;

namespace Ublk.Tests.Serving;

/// <summary>A queue's ring with real memory, in which a double answers in the place of the kernel and the driver.</summary>
internal abstract unsafe class RingDouble : Ring
{
    private readonly RingMemory _memory;
    private readonly IoUringParams _parameters;
    private uint _taken;

    /// <summary>Takes a ring.</summary>
    /// <param name="setup">The ring; its memory is real.</param>
    protected RingDouble(RingSetup setup)
        : base(setup)
    {
        _memory = new RingMemory(setup);
        _parameters = setup.Parameters;
    }

    /// <summary>Says whether completions wait in the kernel for room in the ring.</summary>
    public void SetOverflow(bool isSet) => *_memory.At<uint>(_parameters.Sq.Flags) = isSet ? IoUring.SqCompletionOverflow : 0;

    /// <summary>Takes an entry that the queue submits.</summary>
    protected abstract void Take(IoUringSqe* entry);

    /// <summary>The queue waits for a completion.</summary>
    protected abstract void Wait();

    /// <summary>Completes an operation.</summary>
    protected void Post(ulong userData, int result)
    {
        uint* tail = _memory.At<uint>(_parameters.Cq.Tail);
        _memory.At<IoUringCqe>(_parameters.Cq.Cqes)[*tail & (CompletionCount - 1)] =
            new IoUringCqe { UserData = userData, Result = result };
        Volatile.Write(ref *tail, *tail + 1);
    }

    protected override int EnterKernel(uint submissions, uint wait, uint flags, void* extended, nuint size)
    {
        for (uint index = 0; index < submissions; index++)
        {
            Take((IoUringSqe*)_memory.Entries + (_taken++ & (EntryCount - 1)));
        }

        if (wait > 0)
        {
            Wait();
        }

        return (int)submissions;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _memory.Dispose();
        }

        base.Dispose(disposing);
    }
}
