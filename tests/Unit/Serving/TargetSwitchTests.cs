using System.Buffers.Binary;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Serving;
using Ublk.Targets;
using Ublk.Targets.Loop;

namespace Ublk.Tests.Serving;

/// <summary>The target of queues that serve is exchanged, and their clients notice nothing.</summary>
public class TargetSwitchTests
{
    private const int Block = 4096;
    private const int Queues = 2;
    private const int Depth = 8;
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(20);

    [Fact]
    public void Clients_read_what_they_wrote_while_the_target_is_exchanged_again_and_again()
    {
        using TemporaryFile file = new(Queues * Depth * Block);
        LoopTarget target = Open(file.Path);
        using ServedQueues served = new(target, Queues, Depth, Block);
        using Clients clients = new(served);
        for (int round = 0; round < 100; round++)
        {
            served.Switch.Hold(target, s_timeout, () => { });
            served.Switch.Flush(target);
            served.Switch.Detach();
            target.Dispose();

            // Opened with its lock: nothing of the former one is in the way.
            target = Open(file.Path);
            served.Switch.Attach(target);
            served.Switch.Release(target);
            clients.AwaitProgress();
        }

        clients.Stop();
        Assert.Null(served.Failure);
        served.Dispose();
        target.Dispose();
    }

    [Fact]
    public void Each_request_is_answered_once_by_the_former_target_or_the_next()
    {
        using GatedTarget former = new();
        using GatedTarget next = new();
        using ServedQueues served = new(former, 1, 4, Block);
        served.Begin(0, 0, IoOperation.Write, 0, new byte[Block]);
        former.AwaitRequests(1);
        using ManualResetEventSlim holds = new();
        Thread hold = new(() => served.Switch.Hold(former, s_timeout, holds.Set));
        hold.Start();
        holds.Wait(TestContext.Current.CancellationToken);

        // The request in flight must end before the switch; those that come meanwhile wait.
        served.Begin(0, 1, IoOperation.Write, Block, new byte[Block]);
        served.Begin(0, 2, IoOperation.Read, Block, new byte[Block]);
        Assert.True(hold.IsAlive);
        former.Open();
        hold.Join();
        Assert.Equal(Block, served.End(0, 0, default));
        Assert.False(served.IsAnswered(0, 1) || served.IsAnswered(0, 2));
        served.Switch.Release(next);
        next.AwaitRequests(2);
        Assert.Equal([Block, Block], next.Offsets);
        next.Open();
        Assert.Equal(Block, served.End(0, 1, default));
        Assert.Equal(Block, served.End(0, 2, default));
        Assert.Equal([0L], former.Offsets);
    }

    [Fact]
    public void Requests_go_on_as_before_where_those_in_flight_do_not_end()
    {
        using GatedTarget target = new();
        using ServedQueues served = new(target, Queues, 4, Block);
        served.Begin(0, 0, IoOperation.Read, 0, new byte[Block]);
        target.AwaitRequests(1);
        UblkException exception =
            Assert.Throws<UblkException>(() => served.Switch.Hold(target, TimeSpan.FromMilliseconds(30), () => { }));
        Assert.Equal((UblkError.TimedOut, Libc.ETIMEDOUT), (exception.Error, exception.Errno));
        served.Begin(0, 1, IoOperation.Read, Block, new byte[Block]);
        served.Begin(1, 0, IoOperation.Read, Block, new byte[Block]);
        target.AwaitRequests(3);
        target.Open();
        Assert.Equal(Block, served.End(0, 0, default));
        Assert.Equal(Block, served.End(0, 1, default));
        Assert.Equal(Block, served.End(1, 0, default));
    }

    [Fact]
    public void A_hold_that_is_given_up_lets_requests_go_on()
    {
        using GatedTarget target = new();
        using ServedQueues served = new(target, 1, 4, Block);
        served.Begin(0, 0, IoOperation.Read, 0, new byte[Block]);
        target.AwaitRequests(1);
        Assert.Throws<OperationCanceledException>(
            () => served.Switch.Hold(target, s_timeout, () => throw new OperationCanceledException()));
        served.Begin(0, 1, IoOperation.Read, Block, new byte[Block]);
        target.AwaitRequests(2);
        target.Open();
        Assert.Equal(Block, served.End(0, 0, default));
        Assert.Equal(Block, served.End(0, 1, default));
    }

    [Fact]
    public void Requests_in_flight_end_in_the_former_target_where_none_are_held()
    {
        using GatedTarget former = new();
        using GatedTarget next = new();
        using ServedQueues served = new(former, 1, 4, Block);
        served.Begin(0, 0, IoOperation.Read, 0, new byte[Block]);
        former.AwaitRequests(1);
        served.Switch.Exchange(next);
        served.Begin(0, 1, IoOperation.Read, Block, new byte[Block]);
        next.AwaitRequests(1);
        next.Open();
        Assert.Equal(Block, served.End(0, 1, default));
        Assert.False(served.IsAnswered(0, 0));
        former.Open();
        Assert.Equal(Block, served.End(0, 0, default));
    }

    [Fact]
    public void A_device_that_has_ended_is_not_changed()
    {
        using GatedTarget target = new();
        using ServedQueues served = new(target, Queues, 4, Block);
        served.Stop(1);
        UblkException exception = Assert.Throws<UblkException>(() => served.Switch.Hold(target, s_timeout, () => { }));
        Assert.Equal(UblkError.DeviceStateInvalid, exception.Error);
        target.Open();
        Assert.Equal(Block, served.Request(0, 0, IoOperation.Read, 0, new byte[Block]));
    }

    private static LoopTarget Open(string path) => LoopTarget.Open(new TargetOptions(
        new Dictionary<string, string> { ["Path"] = path, ["DirectIO"] = "false" }));

    /// <summary>A client for each tag, which counts up a number in a block of its own and reads it back.</summary>
    private sealed class Clients : IDisposable
    {
        private readonly List<Thread> _threads = [];
        private readonly long[] _rounds = new long[Queues * Depth];
        private volatile bool _isStopping;
        private volatile string? _failure;

        public Clients(ServedQueues served)
        {
            for (int number = 0; number < _rounds.Length; number++)
            {
                int own = number;
                Thread thread = new(() => Run(served, own));
                thread.Start();
                _threads.Add(thread);
            }
        }

        /// <summary>Waits until each client has had a request answered that it began after this.</summary>
        public void AwaitProgress()
        {
            long[] seen = [.. _rounds.Select((_, number) => Volatile.Read(ref _rounds[number]))];
            Assert.True(SpinWait.SpinUntil(
                () => _failure is not null || !seen.Where((count, number) => Volatile.Read(ref _rounds[number]) < count + 2).Any(),
                s_timeout));
            Assert.Null(_failure);
        }

        public void Stop()
        {
            Dispose();
            Assert.Null(_failure);
        }

        public void Dispose()
        {
            _isStopping = true;
            _threads.ForEach(thread => thread.Join());
        }

        private void Run(ServedQueues served, int number)
        {
            byte[] block = new byte[Block];
            for (long round = 1; !_isStopping && _failure is null; round++)
            {
                (int queue, int tag) = (number / Depth, number % Depth);
                BinaryPrimitives.WriteInt64LittleEndian(block, round);
                int written = served.Request(queue, tag, IoOperation.Write, number * Block, block);
                block.AsSpan().Clear();
                int read = served.Request(queue, tag, IoOperation.Read, number * Block, block);
                long found = BinaryPrimitives.ReadInt64LittleEndian(block);
                if (written != Block || read != Block || found != round)
                {
                    _failure = $"Client {number}, round {round}: written {written}, read {read}, found {found}.";
                }

                Volatile.Write(ref _rounds[number], round);
            }
        }
    }

    /// <summary>Answers no request until it is opened.</summary>
    private sealed class GatedTarget : BlockTarget
    {
        private readonly TaskCompletionSource _open = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly List<long> _offsets = [];

        public override TargetGeometry Geometry { get; } = new() { Size = 1 << 20 };

        /// <summary>The first bytes of the requests, in their order.</summary>
        public IReadOnlyList<long> Offsets
        {
            get
            {
                lock (_offsets)
                {
                    return [.. _offsets];
                }
            }
        }

        public void Open() => _open.TrySetResult();

        public void AwaitRequests(int count) => Assert.True(SpinWait.SpinUntil(() => Offsets.Count >= count, s_timeout));

        public override async IoTask<int> HandleAsync(IoRequest request)
        {
            lock (_offsets)
            {
                _offsets.Add(request.Offset);
            }

            await _open.Task;
            return 0;
        }

        protected override void Dispose(bool disposing)
        {
            Open();
            base.Dispose(disposing);
        }
    }
}
