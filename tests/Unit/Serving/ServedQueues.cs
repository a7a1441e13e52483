using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Counters;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Rings;
using Ublk.Serving;
using Ublk.Targets;

namespace Ublk.Tests.Serving;

/// <summary>Queues with real threads and rings that serve a target, for clients in the test instead of a driver.</summary>
internal sealed class ServedQueues : IDisposable
{
    private readonly List<QueueThread> _threads = [];
    private readonly List<ClientRing> _rings = [];
    private readonly CounterMemory _counters;

    /// <summary>Begins to serve.</summary>
    /// <param name="target">The target.</param>
    /// <param name="queues">How many queues, each with a thread.</param>
    /// <param name="depth">Requests that each holds at once.</param>
    /// <param name="length">Bytes of each request.</param>
    public ServedQueues(BlockTarget target, int queues, int depth, int length)
    {
        _counters = new CounterMemory(null, queues, []);
        UblkDeviceInfo info = new()
        {
            QueueDepth = (ushort)depth, MaxIoBufferBytes = (uint)length, Flags = (ulong)UblkFeatures.UringCmdCompInTask,
        };
        for (int index = 0; index < queues; index++)
        {
            // Each has a node of its own, so each is the first queue there.
            QueueShare share = new(0, 0, 1);
            QueueThread thread = new(share, CpuSet.OfThread(0), exception => Failure = exception);
            int number = index;
            thread.Start(() =>
            {
                ClientRing ring = new(RingSetup.Create((uint)depth * 2, (uint)depth * 4, RingSetup.QueueFlags), depth, length);
                _rings.Add(ring);
                return new QueueLoop(ring, ring.Node, share, new QueueTeam(), info, target, _counters.For(number, depth));
            });
            _threads.Add(thread);
        }

        Switch = new TargetSwitch(0, _threads);
    }

    /// <summary>What exchanges the target.</summary>
    public TargetSwitch Switch { get; }

    /// <summary>Why a queue could not go on.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>Does a request, as a client of the disk would, and waits for its end.</summary>
    /// <param name="queue">The queue.</param>
    /// <param name="tag">One of its tags, which no other client uses meanwhile.</param>
    /// <param name="operation">What to do.</param>
    /// <param name="offset">The first byte.</param>
    /// <param name="data">The data of a write, or where that of a read goes.</param>
    /// <returns>What the driver would get.</returns>
    public int Request(int queue, int tag, IoOperation operation, long offset, Span<byte> data)
    {
        Begin(queue, tag, operation, offset, data);
        return End(queue, tag, data);
    }

    /// <summary>Begins a request.</summary>
    public void Begin(int queue, int tag, IoOperation operation, long offset, Span<byte> data) =>
        _rings[queue].Begin(tag, QueueHarness.Describe(operation, offset, data.Length), data);

    /// <summary>Waits for the end of a request.</summary>
    public int End(int queue, int tag, Span<byte> data) => _rings[queue].End(tag, data);

    /// <summary>Whether a request that was begun is answered.</summary>
    public bool IsAnswered(int queue, int tag) => _rings[queue].IsAnswered(tag);

    /// <summary>Has a queue end as if the device were stopped.</summary>
    public void Stop(int queue)
    {
        _rings[queue].Stop();
        _threads[queue].Join();
    }

    public void Dispose()
    {
        _rings.ForEach(ring => ring.Stop());
        _threads.ForEach(thread => thread.Join());
        _counters.Dispose();
    }

    /// <summary>A real ring. The driver's commands in it are completed by the test, with messages from a ring of its own.</summary>
    private sealed unsafe class ClientRing(RingSetup setup, int depth, int length) : DriverlessRing(setup)
    {
        private const byte OpMessage = 40;

        private readonly Ring _driver = CreateForControl(8);
        private readonly int _fd = (int)setup.Handle.DangerousGetHandle();
        private readonly nint[] _buffers = new nint[depth];
        private readonly int[] _results = new int[depth];
        private readonly SemaphoreSlim[] _answered = [.. Enumerable.Range(0, depth).Select(_ => new SemaphoreSlim(0))];
        private readonly int _length = length;
        private bool _isStopped;

        /// <summary>The file that has the requests' descriptors.</summary>
        public SafeFileHandle Node { get; } = CreateNode();

        public void Begin(int tag, UblkIoDescriptor descriptor, ReadOnlySpan<byte> data)
        {
            if ((descriptor.OpFlags & UblkAbi.OpMask) == (uint)IoOperation.Write)
            {
                data.CopyTo(BufferOf(tag));
            }

            RandomAccess.Write(Node, new ReadOnlySpan<byte>(&descriptor, sizeof(UblkIoDescriptor)), tag * sizeof(UblkIoDescriptor));
            Complete(tag, 0);
        }

        public int End(int tag, Span<byte> data)
        {
            _answered[tag].Wait();
            BufferOf(tag)[..data.Length].CopyTo(data);
            return _results[tag];
        }

        public bool IsAnswered(int tag) => _answered[tag].CurrentCount > 0;

        public void Stop()
        {
            if (!_isStopped)
            {
                _isStopped = true;
                Complete(0, -Libc.ENODEV);
            }
        }

        // Nothing completes until the test answers in the driver's place.
        protected override bool Handle(UblkIoCommand command, bool isCommit)
        {
            _buffers[command.Tag] = (nint)command.Address;
            if (isCommit)
            {
                _results[command.Tag] = command.Result;
                _answered[command.Tag].Release();
            }

            return false;
        }

        private void Complete(int tag, int result)
        {
            lock (_driver)
            {
                IoUringSqe* entry = _driver.NextEntry();
                entry->Opcode = OpMessage;
                entry->Fd = _fd;
                entry->Length = (uint)result;
                entry->Offset = (uint)tag;
                Assert.Equal(0, _driver.Enter(1, Timeout.InfiniteTimeSpan));
                Assert.True(_driver.TryReap(out IoUringCqe completion));
                Assert.Equal(0, completion.Result);
            }
        }

        private Span<byte> BufferOf(int tag) => new((void*)_buffers[tag], _length);

        private static SafeFileHandle CreateNode()
        {
            SafeFileHandle node = new(Libc.MemFdCreate("descriptors", 0), ownsHandle: true);
            RandomAccess.SetLength(node, Environment.SystemPageSize);
            return node;
        }
    }
}
