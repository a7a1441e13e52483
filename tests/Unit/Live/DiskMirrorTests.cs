using Ublk.Files;
using Ublk.Filters;
using Ublk.Images;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Live;
using Ublk.Qcow2.AtRest;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Tests.Serving;
using Ublk.Tests.Targets.Nbd;

namespace Ublk.Tests.Live;

/// <summary>A disk is in two places while clients write. One of them fails, a command ends it, or the worker dies.</summary>
public sealed class DiskMirrorTests : IDisposable
{
    private const int Block = RandomClients.Block;
    private const int Size = RandomClients.Size;
    private const int Queues = RandomClients.Queues;
    private const int Tags = RandomClients.Tags;

    private readonly DirectoryInfo _folder = Directory.CreateDirectory($"/var/tmp/ublk-mirror-{Guid.NewGuid():N}");
    private readonly TestHost _host;
    private readonly List<FaultyTarget> _legs = [];
    private readonly byte[] _content = new byte[Size];
    private readonly DeviceSpecification[] _places = new DeviceSpecification[2];

    public DiskMirrorTests() => _host = new TestHost(_folder.FullName)
    {
        Wrap = target =>
        {
            _legs.Add(new FaultyTarget(target));
            return _legs[^1];
        },
    };

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("raw", "raw", 0)]
    [InlineData("raw", "qcow2", 1)]
    [InlineData("qcow2", "raw", 0)]
    [InlineData("qcow2", "qcow2", 1)]
    public void A_mirror_that_ends_leaves_the_same_content_in_both_places(string from, string to, int kept)
    {
        Make(from, to);
        using ServedQueues served = Begin(out LiveDisk live);
        using RandomClients clients = new(served, _content);
        Mirror(live);
        Assert.True(_host.Recorded!.Mirror!.IsInSync);
        Assert.Contains("End the mirror first", Assert.Throws<UblkException>(() => _host.Run(live, LiveAction.Hold)).Message,
            StringComparison.Ordinal);
        Thread.Sleep(50);
        clients.Stop();
        Settle(live, kept);
        Assert.Equal(0, clients.Failures);
        Assert.Null(_host.Recorded.Mirror);
        Assert.Equal(_places[kept].BackingPath, _host.Recorded.Specification.BackingPath);
        Assert.Equal(_places[kept].BackingPath, live.Disk.Target.BackingPath);
        byte[] data = new byte[Block];
        Assert.Equal(Block, served.Request(1, 1, IoOperation.Read, 0, data));
        Assert.True(data.AsSpan().SequenceEqual(_content.AsSpan(0, Block)));
        served.Dispose();
        live.Disk.Target.Finish();
        live.Disk.Target.Dispose();
        Compare(_places[0]);
        Compare(_places[1]);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_mirror_ends_while_clients_write(int kept)
    {
        Make("qcow2", "qcow2");
        using ServedQueues served = Begin(out LiveDisk live);
        using RandomClients clients = new(served, _content);
        Mirror(live);
        Settle(live, kept);
        clients.Stop();
        Assert.Equal(0, clients.Failures);
        served.Dispose();
        live.Disk.Target.Finish();
        live.Disk.Target.Dispose();
        Compare(_places[kept]);
    }

    [Theory]
    [InlineData(0, Step.None)]
    [InlineData(0, Step.Recording)]
    [InlineData(1, Step.None)]
    public void A_place_that_fails_is_dropped_before_a_write_is_answered(int failing, Step death)
    {
        Make("qcow2", "raw");
        bool isDropped = death == Step.None;
        using (ServedQueues served = Begin(out LiveDisk live))
        {
            using RandomClients clients = new(served, _content);
            Mirror(live);
            _host.Death = death;
            _legs[failing].Errno = Libc.ENOSPC;
            Await(() => isDropped ? !_host.Recorded!.Mirror!.IsInSync : clients.Failures > 0);
            clients.Stop();
            Assert.Equal(isDropped, clients.Failures == 0);
            if (isDropped)
            {
                Assert.NotNull(_host.Recorded!.Mirror!.Legs[failing].Failure);
                Assert.Null(_host.Recorded.Mirror.Legs[1 - failing].Failure);
                Assert.Equal(0, served.Request(0, 0, IoOperation.Flush, 0, []));
                Assert.Contains("no longer in sync", Assert.Throws<UblkException>(() => Settle(live, failing)).Message,
                    StringComparison.Ordinal);
            }
        }

        // The worker dies: the next one serves the place in the record.
        _host.Kill();
        Assert.Equal(_places[isDropped ? 1 - failing : failing].BackingPath, _host.Recorded!.Specification.BackingPath);
        using BlockTarget recovered = _host.Recover().Target;
        Assert.Equal(_content, new TargetClient(recovered).Read(0, Size));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_mirror_of_which_one_place_was_dropped_ends_with_the_other(int failing)
    {
        Make("raw", "qcow2");
        using ServedQueues served = Begin(out LiveDisk live);
        using RandomClients clients = new(served, _content);
        Mirror(live);
        _legs[failing].Errno = Libc.EIO;
        Settle(live, 1 - failing);
        clients.Stop();
        Assert.Equal(0, clients.Failures);
        Assert.Null(_host.Recorded!.Mirror);
        served.Dispose();
        live.Disk.Target.Finish();
        live.Disk.Target.Dispose();
        Compare(_places[1 - failing]);
    }

    [Fact]
    public void A_place_stays_if_it_cannot_be_recorded_that_it_was_dropped()
    {
        Make("raw", "raw");
        using ServedQueues served = Begin(out LiveDisk live);
        Mirror(live);
        _host.IsRecordFull = true;
        _legs[0].Errno = Libc.ENOSPC;
        byte[] data = new byte[Block];
        Assert.Equal(-Libc.ENOSPC, served.Request(0, 0, IoOperation.Write, 0, data));
        Assert.True(_host.Recorded!.Mirror!.IsInSync);
        _host.IsRecordFull = false;
        Assert.Equal(Block, served.Request(0, 0, IoOperation.Write, 0, data));
        Assert.False(_host.Recorded.Mirror!.Legs[0].IsInSync);

        // Both fail: neither is better than the other.
        _legs[1].Errno = Libc.EIO;
        Assert.Equal(-Libc.EIO, served.Request(0, 0, IoOperation.Write, 0, data));
        served.Dispose();
        live.Disk.Target.Dispose();
    }

    [Fact]
    public void A_read_that_one_place_fails_is_answered_by_the_other()
    {
        Make("raw", "qcow2");
        using ServedQueues served = Begin(out LiveDisk live);
        Mirror(live);
        _legs[0].ReadErrno = Libc.EIO;
        byte[] data = new byte[Block];
        Assert.Equal(Block, served.Request(0, 0, IoOperation.Read, Block, data));
        Assert.True(data.AsSpan().SequenceEqual(_content.AsSpan(Block, Block)));
        Assert.True(_host.Recorded!.Mirror!.IsInSync);
        served.Dispose();
        live.Disk.Target.Dispose();
    }

    [Fact]
    public void A_worker_that_dies_leaves_the_former_place_and_says_that_the_other_is_not_in_sync()
    {
        Make("qcow2", "qcow2");
        using (ServedQueues served = Begin(out LiveDisk live))
        {
            using RandomClients clients = new(served, _content);
            Mirror(live);
            Thread.Sleep(50);
            clients.Stop();
        }

        _host.Kill();
        Assert.Equal(_places[0].BackingPath, _host.Recorded!.Specification.BackingPath);
        OpenedDisk disk = _host.Recover() with { Mirror = _host.Recorded.Mirror!.Interrupt() };
        Assert.Equal(_content, new TargetClient(disk.Target).Read(0, Size));
        Assert.Equal([true, false], disk.Mirror!.Legs.Select(leg => leg.IsInSync));
        using ServedQueues next = new(disk.Target, Queues, Tags, Block);
        LiveDisk recovered = new(disk, next.Switch, _host);
        Assert.Throws<UblkException>(() => Settle(recovered, 1));
        Settle(recovered, 0);
        Assert.Null(_host.Recorded.Mirror);
        next.Dispose();
        recovered.Disk.Target.Dispose();
    }

    [Fact]
    public void Overlapping_writes_have_one_order_in_both_places()
    {
        Make("raw", "raw");
        using (ServedQueues served = Begin(out LiveDisk live))
        {
            Mirror(live);
            _legs[1].IsUneven = true;
            using Barrier together = new(Queues * Tags);
            Thread[] clients = [.. Enumerable.Range(0, Queues * Tags).Select(client => new Thread(() =>
            {
                byte[] data = new byte[Block];
                data.AsSpan().Fill((byte)client);
                for (int turn = 0; turn < 300; turn++)
                {
                    together.SignalAndWait();
                    long offset = (turn * 2L * Block) + (client * Block / 4);
                    Assert.Equal(Block, served.Request(client / Tags, client % Tags, IoOperation.Write, offset, data));
                }
            }))];
            Array.ForEach(clients, client => client.Start());
            Array.ForEach(clients, client => client.Join());
            served.Dispose();
            live.Disk.Target.Dispose();
        }

        Shell.Run("cmp", _places[0].BackingPath!, _places[1].BackingPath!);
    }

    [Theory]
    [InlineData("raw")]
    [InlineData("qcow2")]
    public void A_server_that_dies_is_dropped(string from)
    {
        Make(from, "raw");
        using NbdServer server = NbdServer.Nbdkit("memory", $"{Size}");
        _places[1] = new DeviceSpecification
        {
            Id = 0,
            Target = "Nbd",
            Options = new Dictionary<string, string> { ["Uri"] = server.Uri() },
        };
        using ServedQueues served = Begin(out LiveDisk live);
        using RandomClients clients = new(served, _content);
        Mirror(live);
        server.Kill();
        Await(() => !_host.Recorded!.Mirror!.IsInSync);
        clients.Stop();
        Assert.Equal(0, clients.Failures);
        Assert.False(_host.Recorded!.Mirror!.Legs[1].IsInSync);
        Settle(live, 0);
        served.Dispose();
        live.Disk.Target.Finish();
        live.Disk.Target.Dispose();
        Compare(_places[0]);
    }

    private static void Await(Func<bool> condition) => Assert.True(SpinWait.SpinUntil(condition, TimeSpan.FromSeconds(60)));

    private ServedQueues Begin(out LiveDisk live)
    {
        OpenedDisk disk = _host.Begin(_places[0]);
        ServedQueues served = new(disk.Target, Queues, Tags, Block);
        live = new LiveDisk(disk, served.Switch, _host);
        return served;
    }

    private void Mirror(LiveDisk live)
    {
        _host.Run(live, new LiveOrder(LiveAction.Move, _places[1]) { Move = new MoveOrder(Size, IsBlank: true, IsMirror: true) });
        _host.Run(live, LiveAction.Mirror);
        live.End();
    }

    private void Settle(LiveDisk live, int leg)
    {
        try
        {
            _host.Run(live, new LiveOrder(LiveAction.Settle) { Leg = leg });
        }
        finally
        {
            live.End();
        }
    }

    private void Make(string from, string to)
    {
        new Random(1).NextBytes(_content.AsSpan(0, Size / 2));
        string raw = $"{_folder}/raw";
        File.WriteAllBytes(raw, _content);
        Shell.Run("qemu-img", "convert", "-q", "-f", "raw", "-O", from, raw, $"{_folder}/former");
        new CreateImage
        {
            Path = $"{_folder}/next",
            Size = Size,
            Options = new NewImageOptions { Format = to == "raw" ? ImageFormat.Raw : ImageFormat.Qcow2 },
        }.Run(ImageProgress.None);
        _places[0] = Specify($"{_folder}/former", from);
        _places[1] = Specify($"{_folder}/next", to);
    }

    private static DeviceSpecification Specify(string path, string format) => new()
    {
        Id = 0,
        Target = format == "raw" ? "Loop" : "Qcow2",
        Options = new Dictionary<string, string> { ["Path"] = path, ["DirectIO"] = "false" },
    };

    private void Compare(DeviceSpecification place)
    {
        string raw = $"{_folder}/expected";
        File.WriteAllBytes(raw, _content);
        string format = place.Target == "Loop" ? "raw" : "qcow2";
        Shell.Run("qemu-img", "compare", "-q", "-f", "raw", "-F", format, raw, place.BackingPath!);
        if (format == "qcow2")
        {
            Shell.Run("qemu-img", "check", "-q", place.BackingPath!);
        }
    }

    /// <summary>Fails requests on demand.</summary>
    private sealed class FaultyTarget(BlockTarget inner) : FilterTarget(inner)
    {
        private volatile int _errno;

        /// <summary>What changes and flushes fail with; 0 for not at all.</summary>
        public int Errno { get => _errno; set => _errno = value; }

        /// <summary>What reads fail with.</summary>
        public int ReadErrno { get; set; }

        /// <summary>Whether requests take different times.</summary>
        public bool IsUneven { get; set; }

        public override IoTask<int> HandleAsync(IoRequest request) =>
            (request.Operation == IoOperation.Read ? ReadErrno : _errno) is var errno and > 0 ? -errno
            : IsUneven ? DelayAsync(request)
            : Inner.HandleAsync(request);

        private async IoTask<int> DelayAsync(IoRequest request)
        {
            await request.Queue.DelayAsync(TimeSpan.FromMicroseconds(Random.Shared.Next(1000)));
            return await Inner.HandleAsync(request);
        }
    }
}
