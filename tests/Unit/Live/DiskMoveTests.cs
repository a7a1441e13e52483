using Ublk.Files;
using Ublk.Images;
using Ublk.Io;
using Ublk.Live;
using Ublk.Qcow2.AtRest;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Tests.Serving;
using Ublk.Tests.Targets.Nbd;

namespace Ublk.Tests.Live;

/// <summary>A disk is moved into a new file while clients write, and the worker dies at any step of that.</summary>
public sealed class DiskMoveTests : IDisposable
{
    private const int Block = RandomClients.Block;
    private const int Size = RandomClients.Size;
    private const int Queues = RandomClients.Queues;
    private const int Tags = RandomClients.Tags;

    private readonly DirectoryInfo _folder = Directory.CreateDirectory($"/var/tmp/ublk-move-{Guid.NewGuid():N}");
    private readonly TestHost _host;
    private readonly byte[] _content = new byte[Size];
    private DeviceSpecification _former = null!;
    private DeviceSpecification _next = null!;

    public DiskMoveTests() => _host = new TestHost(_folder.FullName);

    public static TheoryData<string, string, Step> Deaths
    {
        get
        {
            TheoryData<string, string, Step> deaths = new()
            {
                { "raw", "raw", Step.None }, { "qcow2", "raw", Step.None }, { "qcow2", "raw", Step.Recorded },
            };
            foreach (Step step in
                (Step[])[Step.None, Step.Opening, Step.Opened, Step.Copying, Step.Rest, Step.Recording, Step.Recorded])
            {
                deaths.Add("raw", "qcow2", step);
                deaths.Add("qcow2", "qcow2", step);
            }

            return deaths;
        }
    }

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [MemberData(nameof(Deaths))]
    public void A_move_loses_nothing_wherever_the_worker_dies(string from, string to, Step death)
    {
        Make(from, to);
        OpenedDisk disk = _host.Begin(_former);
        using (ServedQueues served = new(disk.Target, Queues, Tags, Block))
        {
            LiveDisk live = new(disk, served.Switch, _host);
            using RandomClients clients = new(served, _content);
            _host.Death = death;
            try
            {
                _host.Run(live, LiveAction.Move, _next);
                _host.Run(live, LiveAction.Open, _next);
                live.End();
                clients.Stop();
            }
            catch (KilledException)
            {
                using DeadTarget dead = new();
                served.Switch.Exchange(dead);
                served.Switch.Release(dead);
                clients.Stop();
            }
        }

        _host.Kill();
        bool isMoved = death is Step.None or Step.Recorded;
        Assert.Equal((isMoved ? _next : _former).BackingPath, _host.Recorded!.Specification.BackingPath);
        using (BlockTarget recovered = _host.Recover().Target)
        {
            Assert.Equal(_content, new TargetClient(recovered).Read(0, Size));
            recovered.Finish();
        }

        // A worker that dies may leave leaked clusters.
        Compare(isMoved ? _next : _former, mayLeak: true);
    }

    [Theory]
    [InlineData("raw", "raw")]
    [InlineData("raw", "qcow2")]
    [InlineData("qcow2", "raw")]
    [InlineData("qcow2", "qcow2")]
    public void What_is_zero_takes_no_space_in_the_new_file(string from, string to)
    {
        Make(from, to);
        OpenedDisk disk = _host.Begin(_former);
        using (ServedQueues served = new(disk.Target, Queues, Tags, Block))
        {
            LiveDisk live = new(disk, served.Switch, _host);
            _host.Run(live, LiveAction.Move, _next);
            _host.Run(live, LiveAction.Open, _next);
            live.End();
            served.Dispose();
            live.Disk.Target.Dispose();
        }

        Compare(_next);
        Shell.Run("sh", "-c", $"[ $(du -k '{_next.BackingPath}' | cut -f1) -le {(Size >> 10) * 3 / 4} ]");
    }

    [Theory]
    [InlineData("raw", "qcow2")]
    [InlineData("qcow2", "raw")]
    public void A_move_that_ends_early_leaves_the_disk_as_it_was(string from, string to)
    {
        Make(from, to);
        OpenedDisk disk = _host.Begin(_former);
        using (ServedQueues served = new(disk.Target, Queues, Tags, Block))
        {
            LiveDisk live = new(disk, served.Switch, _host);
            using RandomClients clients = new(served, _content);
            foreach (bool isLate in (bool[])[false, true])
            {
                bool isCopying = false;
                Assert.Throws<OperationCanceledException>(() => live.Run(Order(Size, isBlank: true), report =>
                {
                    isCopying |= report.Percent is not null;
                    if (isLate ? isCopying && report.Step is not null : report.Percent >= 50)
                    {
                        throw new OperationCanceledException();
                    }
                }, () => { }));
                live.End();
                Assert.Same(disk, live.Disk);
                Create(_next.BackingPath!, to, force: true);
            }

            // After all was copied, the command changes its mind.
            _host.Run(live, LiveAction.Move, _next);
            _host.Run(live, LiveAction.Close);
            live.End();
            Assert.Same(disk, live.Disk);
            clients.Stop();
            Assert.Equal(0, _host.Recorded!.Generation);
            served.Dispose();
            live.Disk.Target.Dispose();
        }

        Compare(_former);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_command_that_ends_before_the_switch_leaves_the_disk_that_is_registered(bool isSwitched)
    {
        Make("raw", "qcow2");
        DeviceSpecification expected = isSwitched ? _next : _former;
        _host.Registered = expected.BackingPath;
        OpenedDisk disk = _host.Begin(_former);
        using ServedQueues served = new(disk.Target, Queues, Tags, Block);
        LiveDisk live = new(disk, served.Switch, _host);
        _host.Run(live, LiveAction.Move, _next);
        served.Begin(0, 0, IoOperation.Write, Block, new byte[Block]);
        live.End();
        Assert.Equal(Block, served.End(0, 0, default));
        Assert.Equal(expected.BackingPath, live.Disk.Target.BackingPath);
        Assert.Equal(expected.BackingPath, _host.Recorded!.Specification.BackingPath);
        _content.AsSpan(Block, Block).Clear();
        served.Dispose();
        live.Disk.Target.Dispose();
        Compare(expected);
    }

    [Fact]
    public void A_disk_that_has_grown_is_moved_to_its_end()
    {
        Make("raw", "raw");
        OpenedDisk disk = _host.Begin(_former);
        using ServedQueues served = new(disk.Target, Queues, Tags, Block);
        LiveDisk live = new(disk, served.Switch, _host);
        foreach (string path in (string[])[_former.BackingPath!, _next.BackingPath!])
        {
            using FileStream file = File.OpenWrite(path);
            file.SetLength(2 * Size);
        }

        byte[] data = new byte[Block];
        data.AsSpan().Fill(7);
        Assert.Equal(Block, served.Request(0, 0, IoOperation.Write, (2 * Size) - Block, data));
        _host.Run(live, Order(2 * Size, isBlank: true));
        _host.Run(live, LiveAction.Open, _next);
        live.End();
        served.Dispose();
        live.Disk.Target.Dispose();
        Shell.Run("cmp", _former.BackingPath!, _next.BackingPath!);
    }

    private LiveOrder Order(long size, bool isBlank) => new(LiveAction.Move, _next) { Move = new MoveOrder(size, isBlank) };

    [Theory]
    [InlineData("raw", false)]
    [InlineData("qcow2", true)]
    public void A_block_device_is_overwritten_up_to_the_size_of_the_disk(string from, bool isWritten)
    {
        using LoopDevice device = new(Size + Block);
        MoveOver(from, Specify(device.Path, "raw"), isWritten, device.BackingPath);
    }

    [Theory]
    [InlineData("raw", true)]
    [InlineData("qcow2", false)]
    public void An_export_is_overwritten_and_serves_all_queues(string from, bool isWritten)
    {
        string file = $"{_folder}/export";
        File.WriteAllBytes(file, new byte[Size + Block]);
        using NbdServer server = NbdServer.Nbdkit("file", file);
        MoveOver(from, new DeviceSpecification
        {
            Id = 0,
            Target = "Nbd",
            Options = new Dictionary<string, string> { ["Uri"] = server.Uri() },
        }, isWritten, file);
    }

    [Fact]
    public void A_destination_that_is_too_small_is_refused()
    {
        Make("raw", "raw");
        OpenedDisk disk = _host.Begin(_former);
        using ServedQueues served = new(disk.Target, Queues, Tags, Block);
        LiveDisk live = new(disk, served.Switch, _host);
        Assert.Contains("Choose a destination", Assert.Throws<UblkException>(() => _host.Run(live, Order(Size + Block, isBlank: true)))
            .Message, StringComparison.Ordinal);
        live.End();
        Assert.Same(disk, live.Disk);
        served.Dispose();
        disk.Target.Dispose();
    }

    // The place has other data before.
    private void MoveOver(string from, DeviceSpecification next, bool isWritten, string file)
    {
        Make(from, "raw");
        using (FileStream stream = File.OpenWrite(file))
        {
            byte[] other = new byte[Size + Block];
            other.AsSpan().Fill((byte)'x');
            stream.Write(other);
        }

        _next = next;
        OpenedDisk disk = _host.Begin(_former);
        using (ServedQueues served = new(disk.Target, Queues, Tags, Block))
        {
            LiveDisk live = new(disk, served.Switch, _host);
            using RandomClients? clients = isWritten ? new RandomClients(served, _content) : null;
            _host.Run(live, Order(Size, isBlank: false));
            _host.Run(live, LiveAction.Open, _next);
            live.End();
            byte[] data = new byte[Block];
            if (clients is null)
            {
                foreach (int queue in Enumerable.Range(0, Queues))
                {
                    Assert.Equal(Block, served.Request(queue, 0, IoOperation.Read, queue * Block, data));
                    Assert.True(data.AsSpan().SequenceEqual(_content.AsSpan(queue * Block, Block)));
                }
            }

            clients?.Stop();
            Assert.Equal(0, served.Request(0, 0, IoOperation.Flush, 0, []));
            served.Dispose();
            live.Disk.Target.Dispose();
        }

        string expected = $"{_folder}/expected";
        byte[] rest = new byte[Block];
        rest.AsSpan().Fill((byte)'x');
        File.WriteAllBytes(expected, [.. _content, .. rest]);
        Shell.Run("cmp", expected, file);
    }

    // Half of it is zero: a quarter was never written, a quarter was written with zeroes.
    private void Make(string from, string to)
    {
        new Random(1).NextBytes(_content.AsSpan(0, Size / 2));
        string raw = $"{_folder}/raw";
        File.WriteAllBytes(raw, _content.AsSpan(0, Size * 3 / 4));
        using (FileStream file = File.OpenWrite(raw))
        {
            file.SetLength(Size);
        }

        Shell.Run("qemu-img", "convert", "-q", "-S", "0", "-f", "raw", "-O", from, raw, $"{_folder}/former");
        File.Delete(raw);
        Create($"{_folder}/next", to, force: false);
        _former = Specify($"{_folder}/former", from);
        _next = Specify($"{_folder}/next", to);
    }

    private static DeviceSpecification Specify(string path, string format) => new()
    {
        Id = 0,
        Target = format == "raw" ? "Loop" : "Qcow2",
        Options = new Dictionary<string, string> { ["Path"] = path, ["DirectIO"] = "false" },
    };

    private static void Create(string path, string format, bool force) => new CreateImage
    {
        Path = path,
        Size = Size,
        Options = new NewImageOptions { Format = format == "raw" ? ImageFormat.Raw : ImageFormat.Qcow2 },
        Force = force,
    }.Run(ImageProgress.None);

    private void Compare(DeviceSpecification disk, bool mayLeak = false)
    {
        string raw = $"{_folder}/expected";
        File.WriteAllBytes(raw, _content);
        string format = disk.Target == "Loop" ? "raw" : "qcow2";
        Shell.Run("qemu-img", "compare", "-q", "-f", "raw", "-F", format, raw, disk.BackingPath!);
        if (format == "qcow2")
        {
            Shell.Run("sh", "-c", $"qemu-img check -q '{disk.BackingPath}'; [ $? -le {(mayLeak ? 3 : 0)} ]");
        }
    }
}
