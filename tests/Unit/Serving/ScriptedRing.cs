using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;
using Ublk.Rings;

namespace Ublk.Tests.Serving;

/// <summary>A double of a queue's ring that a test scripts: each wait runs the next of its turns, which posts completions.</summary>
/// <param name="setup">The ring.</param>
/// <param name="descriptors">The file that stands in for the device's node: it has the requests' descriptors.</param>
internal sealed unsafe class ScriptedRing(RingSetup setup, SafeFileHandle descriptors) : RingDouble(setup)
{
    private readonly Queue<Action> _turns = new();
    private readonly Dictionary<uint, nint> _buffers = [];
    private ulong? _timer;

    /// <summary>The results that were committed, in order.</summary>
    public List<int> Answers { get; } = [];

    /// <summary>Sets what the driver and the kernel do while the queue waits, turn by turn.</summary>
    public void Play(params Action[] turns) => Array.ForEach(turns, _turns.Enqueue);

    /// <summary>The memory that the driver was given for a tag's next request.</summary>
    public Span<byte> BufferOf(uint tag, int length) => new((void*)_buffers[tag], length);

    /// <summary>A request arrives; the driver has copied the data of a write.</summary>
    public void Arrive(uint tag, UblkIoDescriptor descriptor)
    {
        RandomAccess.Write(descriptors, MemoryMarshal.AsBytes(new Span<UblkIoDescriptor>(ref descriptor)), tag * sizeof(UblkIoDescriptor));
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

    protected override void Wait() => _turns.Dequeue()();

    protected override void Take(IoUringSqe* entry)
    {
        if (entry->Opcode == IoUring.OpTimeout)
        {
            _timer = entry->UserData;
        }
        else if (entry->Opcode == IoUring.OpUringCmd)
        {
            UblkIoCommand command = *(UblkIoCommand*)&entry->Command;
            _buffers[command.Tag] = (nint)command.Address;
            if (entry->CommandOp == UblkAbi.IoCommitAndFetch)
            {
                Answers.Add(command.Result);
            }
        }
    }
}
