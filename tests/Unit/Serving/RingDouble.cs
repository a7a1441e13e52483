using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;
using Ublk.Rings;

namespace Ublk.Tests.Serving;

/// <summary>A queue's ring whose kernel and driver are the test: each wait runs the next of its turns, which posts completions.</summary>
internal sealed unsafe class RingDouble : Ring
{
    private readonly RingMemory _memory;
    private readonly IoUringParams _parameters;
    private readonly SafeFileHandle _descriptors;
    private readonly Queue<Action> _turns = new();
    private readonly Dictionary<uint, nint> _buffers = [];
    private uint _taken;
    private ulong? _timer;

    /// <summary>Takes a ring.</summary>
    /// <param name="setup">The ring; its memory is real.</param>
    /// <param name="descriptors">The file that stands in for the device's node: it has the requests' descriptors.</param>
    public RingDouble(RingSetup setup, SafeFileHandle descriptors)
        : base(setup)
    {
        _memory = new RingMemory(setup);
        _parameters = setup.Parameters;
        _descriptors = descriptors;
    }

    /// <summary>The results that were committed, in order.</summary>
    public List<int> Answers { get; } = [];

    /// <summary>Sets what the driver and the kernel do while the queue waits, turn by turn.</summary>
    public void Play(params Action[] turns) => Array.ForEach(turns, _turns.Enqueue);

    /// <summary>The memory that the driver was given for a tag's next request.</summary>
    public Span<byte> BufferOf(uint tag, int length) => new((void*)_buffers[tag], length);

    /// <summary>A request arrives; the driver has copied the data of a write.</summary>
    public void Arrive(uint tag, UblkIoDescriptor descriptor)
    {
        RandomAccess.Write(_descriptors, MemoryMarshal.AsBytes(new Span<UblkIoDescriptor>(ref descriptor)), tag * sizeof(UblkIoDescriptor));
        Post(tag, 0);
    }

    /// <summary>The driver takes the queue back.</summary>
    public void End(uint tag) => Post(tag, -Libc.ENODEV);

    /// <summary>The timer that the queue set runs out.</summary>
    public void Expire()
    {
        Post(_timer ?? throw new InvalidOperationException("No timer is set."), -Libc.ETIME);
        _timer = null;
    }

    /// <summary>Says whether completions wait in the kernel for room in the ring.</summary>
    public void SetOverflow(bool isSet) => *_memory.At<uint>(_parameters.Sq.Flags) = isSet ? IoUring.SqCompletionOverflow : 0;

    protected override int EnterKernel(uint submissions, uint wait, uint flags, void* extended, nuint size)
    {
        for (uint index = 0; index < submissions; index++)
        {
            Take(((IoUringSqe*)_memory.Entries)[_taken++ & (EntryCount - 1)]);
        }

        if (wait > 0)
        {
            _turns.Dequeue()();
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

    private void Take(IoUringSqe entry)
    {
        if (entry.Opcode == IoUring.OpTimeout)
        {
            _timer = entry.UserData;
        }
        else if (entry.Opcode == IoUring.OpUringCmd)
        {
            UblkIoCommand command = *(UblkIoCommand*)&entry.Command;
            _buffers[command.Tag] = (nint)command.Address;
            if (entry.CommandOp == UblkAbi.IoCommitAndFetch)
            {
                Answers.Add(command.Result);
            }
        }
    }

    private void Post(ulong userData, int result)
    {
        uint* tail = _memory.At<uint>(_parameters.Cq.Tail);
        _memory.At<IoUringCqe>(_parameters.Cq.Cqes)[*tail & (CompletionCount - 1)] =
            new IoUringCqe { UserData = userData, Result = result };
        Volatile.Write(ref *tail, *tail + 1);
    }
}
