using System.Net.Sockets;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Live;
using Ublk.Processes;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Tests.Serving;
using Ublk.Tests.Targets;

namespace Ublk.Tests.Live;

/// <summary>Commands reach a worker, and what becomes of its disk when they end in other ways than they should.</summary>
public sealed class LiveListenerTests : IDisposable
{
    private const int Block = 4096;
    private const ulong Cookie = 0xC0;

    private static readonly DeviceSpecification s_specification = new() { Id = 0, Target = "Memory" };

    private readonly string _folder = Directory.CreateDirectory($"/dev/shm/ublk-live-{Guid.NewGuid():N}").FullName;
    private readonly StateDirectory _state;
    private readonly MemoryTarget _target = new(1 << 20);
    private readonly ServedQueues _served;
    private readonly LiveDisk _disk;
    private readonly LiveListener _listener;

    public LiveListenerTests()
    {
        _state = new StateDirectory(Libc.GetEffectiveUserId(), $"{_folder}/state");
        _served = new ServedQueues(_target, 1, 4, Block);
        _disk = new LiveDisk(
            new OpenedDisk(s_specification, 0, new TargetOptions(s_specification.Options), _target, _target, null),
            _served.Switch, new Host());
        _listener = new LiveListener(_state.Listen(0, Cookie), _disk, _ => { });
    }

    private static DeviceSpecification Failing => s_specification with
    {
        Filters = [new UblkFilter("ErrorRate", new Dictionary<string, string> { ["ErrorRate"] = "1" })],
    };

    public void Dispose()
    {
        _listener.Dispose();
        _served.Dispose();
        _target.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void A_command_changes_the_disk_and_its_failure_comes_back_as_it_was()
    {
        List<string> steps = [];
        using LiveConnection command = new(0, _state.TryConnect(0, Cookie)!, steps.Add);
        command.Run(LiveAction.Exchange, Failing, CancellationToken.None);
        Assert.Equal(-Libc.EIO, Read());
        command.Run(LiveAction.Exchange, s_specification, CancellationToken.None);
        Assert.Equal(Block, Read());
        Assert.Equal(UblkError.InvalidArgument, Assert.Throws<UblkException>(
            () => command.Run(LiveAction.Close, null, CancellationToken.None)).Error);
        command.Run(LiveAction.Hold, null, CancellationToken.None);
        Assert.Single(steps);
    }

    [Fact]
    public void Held_requests_go_on_when_the_command_is_gone()
    {
        using (LiveConnection command = new(0, _state.TryConnect(0, Cookie)!, _ => { }))
        {
            command.Run(LiveAction.Hold, null, CancellationToken.None);
            _served.Begin(0, 0, IoOperation.Read, 0, new byte[Block]);
            Assert.False(_served.IsAnswered(0, 0));
        }

        Assert.Equal(Block, _served.End(0, 0, default));

        // And the next command finds the disk as it was.
        using LiveConnection next = new(0, _state.TryConnect(0, Cookie)!, _ => { });
        next.Run(LiveAction.Hold, null, CancellationToken.None);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_backup_is_there_when_the_command_has_finished_it_and_not_when_that_is_gone(bool isFinished)
    {
        _target.Data.AsSpan(Block, Block).Fill(7);
        DirectoryInfo folder = Directory.CreateDirectory($"{_folder}/backups");
        string path = $"{folder}/disk.img";
        using (LiveConnection command = new(0, _state.TryConnect(0, Cookie)!, _ => { }))
        {
            command.Begin(new LiveOrder(LiveAction.Backup)
            {
                Backup = new BackupOrder(
                    path, FileIdentity.Of(folder.FullName), ".part", ImageFormat.Raw, _target.Data.Length),
            });
            command.Wait(CancellationToken.None);
            command.Run(LiveAction.Hold, null, CancellationToken.None);
            command.Begin(new LiveOrder(LiveAction.Copy));
            command.Wait(CancellationToken.None);
            Assert.Equal([$"{folder}/.part"], Directory.GetFileSystemEntries(folder.FullName));
            if (isFinished)
            {
                command.Run(LiveAction.Finish, null, CancellationToken.None);
            }
        }

        // The next command begins when the former has ended.
        using LiveConnection next = new(0, _state.TryConnect(0, Cookie)!, _ => { });
        next.Run(LiveAction.Hold, null, CancellationToken.None);
        Assert.Equal(isFinished ? [path] : [], Directory.GetFileSystemEntries(folder.FullName));
        Assert.True(!isFinished || File.ReadAllBytes(path).AsSpan().SequenceEqual(_target.Data));
    }

    [Fact]
    public void Held_requests_go_on_when_the_worker_listens_no_more()
    {
        using LiveConnection command = new(0, _state.TryConnect(0, Cookie)!, _ => { });
        command.Run(LiveAction.Hold, null, CancellationToken.None);
        _served.Begin(0, 0, IoOperation.Read, 0, new byte[Block]);
        _listener.Dispose();
        Assert.Equal(Block, _served.End(0, 0, default));
        Assert.Equal(UblkError.WorkerDied, Assert.Throws<UblkException>(
            () => command.Run(LiveAction.Hold, null, CancellationToken.None)).Error);

        // A process that another test starts has the listening socket until its exec.
        bool isClosed = new Deadline(TimeSpan.FromSeconds(10)).Wait(
            () =>
            {
                using LineChannel? channel = _state.TryConnect(0, Cookie);
                return channel is null;
            }, TestContext.Current.CancellationToken);
        Assert.True(isClosed);
    }

    [Theory]
    [InlineData("""{"Action":0,"Version":2}""")]
    [InlineData("nonsense")]
    public void A_command_of_another_version_is_refused(string line)
    {
        using LineChannel channel = _state.TryConnect(0, Cookie)!;
        channel.Send(line);
        Assert.True(channel.TryReceive(TimeSpan.FromSeconds(10), out string? answer));
        Assert.Contains("Update-UblkDevice", answer, StringComparison.Ordinal);
    }

    [Fact]
    public void Another_user_gives_no_commands()
    {
        // Even if the directory were open to everybody.
        File.SetUnixFileMode(_folder, (UnixFileMode)0b111_111_111);
        File.SetUnixFileMode($"{_folder}/state", (UnixFileMode)0b111_101_101);
        File.SetUnixFileMode($"{_folder}/state/0-{Cookie:x16}.socket", (UnixFileMode)0b111_111_111);
        using LineChannel channel = OtherUser.Run(() => new StateDirectory(0, $"{_folder}/state").TryConnect(0, Cookie)!);
        Assert.True(channel.TryReceive(TimeSpan.FromSeconds(10), out string? answer));
        Assert.Null(answer);
        using LiveConnection command = new(0, _state.TryConnect(0, Cookie)!, _ => { });
        command.Run(LiveAction.Hold, null, CancellationToken.None);
    }

    // A removal that was killed leaves it.
    [Fact]
    public void A_new_worker_removes_the_socket_of_a_former_device_with_its_id()
    {
        using Socket other = _state.Listen(1, Cookie);
        using Socket former = _state.Listen(10, Cookie);
        using Socket next = _state.Listen(10, Cookie + 1);
        Assert.Equal(
            [$"0-{Cookie:x16}.socket", $"1-{Cookie:x16}.socket", $"10-{Cookie + 1:x16}.socket"],
            Directory.GetFiles($"{_folder}/state", "*.socket").Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_socket_is_deleted_with_its_own_device_only()
    {
        _state.Delete(0, Cookie + 1);
        using (LiveConnection command = new(0, _state.TryConnect(0, Cookie)!, _ => { }))
        {
            command.Run(LiveAction.Hold, null, CancellationToken.None);
        }

        _state.Delete(0, Cookie);
        Assert.Null(_state.TryConnect(0, Cookie));
    }

    [Theory]
    [InlineData("null")]
    [InlineData("nonsense")]
    [InlineData("""{"Failure":1}""")]
    public void A_report_of_another_version_is_an_error_with_the_command_to_run(string line)
    {
        using Socket listener = _state.Listen(1, Cookie);
        using LiveConnection command = new(1, _state.TryConnect(1, Cookie)!, _ => { });
        using LineChannel worker = new(listener.Accept());
        worker.Send(line);
        Assert.Contains("Update-UblkDevice 1", Assert.Throws<UblkException>(
            () => command.Run(LiveAction.Hold, null, CancellationToken.None)).Message, StringComparison.Ordinal);
    }

    private int Read() => _served.Request(0, 0, IoOperation.Read, 0, new byte[Block]);

    private sealed class Host : ILiveHost
    {
        public OpenedDisk Open(
            DeviceSpecification specification, int generation, bool isReopened, BlockTarget? backing = null, int firstFile = 0) =>
            throw new NotSupportedException();

        public void RequireFit(OpenedDisk disk)
        {
        }

        public void Record(OpenedDisk disk)
        {
        }

        public bool IsRegistered(OpenedDisk disk) => false;

        public void Abort(Exception exception) => throw exception;
    }
}
