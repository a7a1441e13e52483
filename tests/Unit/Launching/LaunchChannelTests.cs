using System.Net.Sockets;
using Ublk.Launching;
using Ublk.Specification;
using Ublk.Workers;

namespace Ublk.Tests.Launching;

/// <summary>What launcher and worker say arrives, and either's end is noticed.</summary>
public sealed class LaunchChannelTests : IDisposable
{
    private readonly LaunchChannel _launcher;
    private readonly LaunchChannel _worker;
    private readonly FakeClock _clock = new();

    public LaunchChannelTests()
    {
        using Socket listener = LaunchChannel.Listen(out string name);
        _worker = LaunchChannel.Connect(name);
        _launcher = LaunchChannel.TryAccept(listener, TimeSpan.FromSeconds(10))!;
    }

    public void Dispose()
    {
        _launcher.Dispose();
        _worker.Dispose();
    }

    [Fact]
    public void The_peer_is_vouched_for() => Assert.Equal(Environment.ProcessId, _launcher.PeerProcessId);

    [Fact]
    public void A_specification_arrives_whole()
    {
        DeviceSpecification sent = new()
        {
            Id = 7, Target = "Loop", Options = new Dictionary<string, string> { ["Path"] = "/a b/ü\n\"x\"" },
            QueueCount = 3, ThreadsPerQueue = 5, QueueDepth = 17, MaxIoSize = 8192, LogicalBlockSize = 4096, ReadOnly = true,
            IgnoreLock = true,
            Assembly = "/x/my.dll", Filters = [new UblkFilter("Delay", new Dictionary<string, string> { ["Delay"] = "5" })],
            NoPartitionScan = true, Unprivileged = true, QueueAffinity = ["0-1", "2", "3"], Cookie = ulong.MaxValue - 1,
        };
        _launcher.SendOrder(new LaunchOrder(LaunchKind.Recover, sent));
        (LaunchKind kind, DeviceSpecification received) = _worker.ReceiveOrder()!;
        Assert.Equal(LaunchKind.Recover, kind);
        Assert.Equal(sent.Options, received.Options);
        Assert.Equal(sent.QueueAffinity, received.QueueAffinity);
        Assert.Equal("Delay=5", Assert.Single(received.Filters).ToString());
        Assert.Equal(sent, received with { Options = sent.Options, QueueAffinity = sent.QueueAffinity, Filters = sent.Filters });
    }

    [Fact]
    public void Reports_arrive_one_by_one_though_sent_at_once()
    {
        _worker.SendReport(new WorkerReport { Stage = WorkerStage.Opened });
        _worker.SendReport(new WorkerReport { Stage = WorkerStage.Ready, Warnings = [new string('w', 10_000)] });
        Assert.Equal(WorkerStage.Opened, Receive()!.Stage);
        Assert.Equal(10_000, Assert.Single(Receive()!.Warnings).Length);
    }

    [Fact]
    public void A_failure_comes_out_as_the_exception_it_was()
    {
        UblkException thrown = new(UblkError.BackingFileInUse, "in use", 11, "lock", 3);
        _worker.SendReport(new WorkerReport { Stage = WorkerStage.Failed, Failure = WorkerFailure.From(thrown) });
        UblkException received = Receive()!.Failure!.ToException();
        Assert.Equal(
            (thrown.Error, thrown.Message, thrown.Errno, thrown.Operation, thrown.DeviceId),
            (received.Error, received.Message, received.Errno, received.Operation, received.DeviceId));
    }

    [Fact]
    public void A_report_restarts_the_deadline()
    {
        TimeSpan timeout = TimeSpan.FromSeconds(30);
        Deadline deadline = new(timeout, _clock);
        for (int round = 0; round < 4; round++)
        {
            _clock.Advance(TimeSpan.FromSeconds(20));
            _worker.SendReport(new WorkerReport { Stage = WorkerStage.Opening });
            Assert.Equal(WorkerStage.Opening, _launcher.ReceiveReport(deadline, NeverCheck)!.Stage);
            Assert.Equal(timeout, deadline.Left);
        }
    }

    [Fact]
    public void A_worker_without_progress_is_not_waited_for_after_the_deadline()
    {
        Deadline deadline = new(TimeSpan.FromSeconds(30), _clock);
        int checks = 0;
        Assert.Throws<TimeoutException>(() => _launcher.ReceiveReport(deadline, () =>
        {
            checks++;
            _clock.Advance(TimeSpan.FromSeconds(10));
            if (deadline.IsOver)
            {
                throw new TimeoutException();
            }
        }));
        Assert.Equal(3, checks);
    }

    [Fact]
    public void Silence_is_not_the_end()
    {
        Deadline deadline = new(TimeSpan.FromSeconds(30), _clock);
        bool isChecked = false;
        Assert.Null(_launcher.ReceiveReport(deadline, () =>
        {
            isChecked = true;
            _worker.Dispose();
        }));
        Assert.True(isChecked);
    }

    [Fact]
    public void Approval_is_noticed_and_so_is_its_lack()
    {
        _launcher.SendApproval();
        Assert.True(_worker.ReceiveApproval());
        _launcher.Dispose();
        Assert.False(_worker.ReceiveApproval());
        _worker.SendReport(new WorkerReport { Stage = WorkerStage.Opened });
    }

    [Fact]
    public void A_process_with_the_socket_name_of_a_dead_launcher_is_refused()
    {
        string name = "";
        using Socket listener = OtherUser.Run(() => LaunchChannel.Listen(out name));
        Assert.Equal(UblkError.PermissionDenied, Assert.Throws<UblkException>(() => LaunchChannel.Connect(name)).Error);
    }

    [Fact]
    public void Another_users_process_is_no_worker()
    {
        using Socket listener = LaunchChannel.Listen(out string name);
        using LaunchChannel intruder = OtherUser.Run(() => LaunchChannel.Connect(name));
        Assert.Null(LaunchChannel.TryAccept(listener, TimeSpan.FromSeconds(10)));
        using LaunchChannel worker = LaunchChannel.Connect(name);
        using LaunchChannel? accepted = LaunchChannel.TryAccept(listener, TimeSpan.FromSeconds(10));
        Assert.NotNull(accepted);
    }

    private static void NeverCheck()
    {
    }

    private WorkerReport? Receive() => _launcher.ReceiveReport(new Deadline(TimeSpan.FromSeconds(10)), NeverCheck);
}
