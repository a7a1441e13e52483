using Ublk.Catalog;
using Ublk.Files;
using Ublk.Images;
using Ublk.Io;
using Ublk.Live;
using Ublk.Qcow2.AtRest;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Targets.Qcow2;
using Ublk.Tests.Qcow2;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Live;

/// <summary>A disk changes while it is served, and its worker dies at any step of that.</summary>
public sealed class LiveDiskTests : IDisposable
{
    private const int Block = 4096;
    private const int Size = 1 << 20;

    private readonly DirectoryInfo _folder = Directory.CreateDirectory($"/var/tmp/ublk-live-{Guid.NewGuid():N}");
    private readonly TestHost _host;

    public LiveDiskTests() => _host = new TestHost(_folder.FullName);

    public static TheoryData<string, Step> Deaths
    {
        get
        {
            TheoryData<string, Step> deaths = [];
            foreach (Step step in Enum.GetValues<Step>().Except([Step.Over, Step.Copying, Step.Rest]))
            {
                deaths.Add("Loop", step);
                deaths.Add("Qcow2", step);
            }

            return deaths;
        }
    }

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [MemberData(nameof(Deaths))]
    public void A_snapshot_keeps_all_that_was_answered_wherever_the_worker_dies(string target, Step death)
    {
        DeviceSpecification former = MakeFormer(target);
        DeviceSpecification next = MakeOverlay(former);
        OpenedDisk disk = _host.Begin(former);
        _host.Death = death;
        bool isHeldWriteDone = false;
        using (ServedQueues served = new(disk.Target, 1, 4, Block))
        {
            LiveDisk live = new(disk, served.Switch, _host);
            Write(served, 0, 0xA1);
            try
            {
                Run(live, LiveAction.Hold);
                _host.Die(Step.Held);
                served.Begin(0, 1, IoOperation.Write, Block, Filled(0xB2));
                Run(live, LiveAction.Close);
                _host.Die(Step.Closed);
                Run(live, LiveAction.Open, next);
                _host.Die(Step.Switched);
                live.End();
                Assert.Equal(Block, served.End(0, 1, default));
                isHeldWriteDone = true;
                Write(served, 0, 0xC3);
                _host.Die(Step.Released);
            }
            catch (KilledException)
            {
                // Nobody answers any more.
                using DeadTarget dead = new();
                served.Switch.Release(dead);
            }

            Kill(live);
        }

        Assert.Equal(
            death is Step.Recorded or Step.Switched or Step.Released or Step.None ? next.BackingPath : former.BackingPath,
            _host.Recorded!.Specification.BackingPath);
        using BlockTarget recovered = _host.Recover().Target;
        TargetClient client = new(recovered);
        Assert.Equal(Filled(isHeldWriteDone ? (byte)0xC3 : (byte)0xA1), client.Read(0, Block));
        Assert.Equal(Filled(isHeldWriteDone ? (byte)0xB2 : (byte)0), client.Read(Block, Block));
        client.Write(2 * Block, Filled(0xD4));
        client.Flush();
        recovered.Finish();
        recovered.Dispose();
        CheckImages(former, next);

        // The snapshot has the instant of the switch.
        if (isHeldWriteDone)
        {
            using BlockTarget snapshot = TargetCatalog.Find(target).Open(new TargetOptions(former.Options) { ReadOnly = true });
            Assert.Equal([.. Filled(0xA1), .. new byte[2 * Block]], new TargetClient(snapshot).Read(0, 3 * Block));
        }
    }

    [Theory]
    [InlineData("Loop")]
    [InlineData("Qcow2")]
    public void A_disk_goes_on_as_it_was_where_the_next_cannot_be_opened(string target)
    {
        DeviceSpecification former = MakeFormer(target);
        OpenedDisk disk = _host.Begin(former);
        using ServedQueues served = new(disk.Target, 1, 4, Block);
        LiveDisk live = new(disk, served.Switch, _host);
        Write(served, 0, 0xA1);
        Run(live, LiveAction.Hold);
        served.Begin(0, 1, IoOperation.Write, Block, Filled(0xB2));
        Run(live, LiveAction.Close);
        Assert.Throws<UblkException>(() => Run(live, LiveAction.Open, former with
        {
            Options = new Dictionary<string, string> { ["Path"] = $"{_folder}/missing" },
        }));
        live.End();
        Assert.Equal(Block, served.End(0, 1, default));
        byte[] data = new byte[Block];
        Assert.Equal(Block, served.Request(0, 0, IoOperation.Read, 0, data));
        Assert.Equal(Filled(0xA1), data);
        served.Dispose();
        live.Disk.Target.Dispose();
        Assert.Equal(0, _host.Recorded!.Generation);
    }

    [Theory]
    [InlineData("Loop")]
    [InlineData("Qcow2")]
    public void A_disk_waits_for_whoever_has_its_file_before_it_goes_on(string target)
    {
        DeviceSpecification specification = MakeFormer(target);
        OpenedDisk disk = _host.Begin(specification);
        using ServedQueues served = new(disk.Target, 1, 4, Block);
        LiveDisk live = new(disk, served.Switch, _host);
        Run(live, LiveAction.Hold);
        Run(live, LiveAction.Close);
        BlockTarget other = _host.Open(specification, 1, isReopened: false).Target;
        new TargetClient(other).Write(0, Filled(0xB2));
        _host.Refused = attempt =>
        {
            Assert.False(live.IsOpen);
            if (attempt == 2)
            {
                other.Finish();
                other.Dispose();
            }
        };
        live.End();
        Assert.Equal(2, _host.Refusals);
        byte[] data = new byte[Block];
        Assert.Equal(Block, served.Request(0, 0, IoOperation.Read, 0, data));
        Assert.Equal(Filled(0xB2), data);
        served.Dispose();
        live.Disk.Target.Dispose();
        CheckImages(specification);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_file_whose_path_leads_to_another_one_is_not_closed(bool isReplaced)
    {
        DeviceSpecification specification = MakeFormer("Loop");
        OpenedDisk disk = _host.Begin(specification);
        using ServedQueues served = new(disk.Target, 1, 4, Block);
        LiveDisk live = new(disk, served.Switch, _host);
        Write(served, 0, 0xA1);
        File.Move(specification.BackingPath!, $"{_folder}/moved");
        if (isReplaced)
        {
            MakeFormer("Loop");
        }

        Run(live, LiveAction.Hold);
        UblkException exception = Assert.Throws<UblkException>(() => Run(live, LiveAction.Close));
        Assert.Equal((UblkError.InvalidBackingFile, 0), (exception.Error, exception.DeviceId));
        live.End();
        byte[] data = new byte[Block];
        Assert.Equal(Block, served.Request(0, 0, IoOperation.Read, 0, data));
        Assert.Equal(Filled(0xA1), data);
        served.Dispose();
        live.Disk.Target.Dispose();
    }

    [Fact]
    public void A_worker_ends_where_another_file_is_in_the_place_of_the_closed_one()
    {
        DeviceSpecification specification = MakeFormer("Loop");
        OpenedDisk disk = _host.Begin(specification);
        using ServedQueues served = new(disk.Target, 1, 4, Block);
        LiveDisk live = new(disk, served.Switch, _host);
        Run(live, LiveAction.Hold);
        Run(live, LiveAction.Close);
        File.Move(specification.BackingPath!, $"{_folder}/moved");
        MakeFormer("Loop");
        Assert.Equal(UblkError.InvalidBackingFile, Assert.Throws<UblkException>(live.End).Error);
        Assert.False(live.IsOpen);
    }

    [Fact]
    public void The_queues_that_are_left_get_the_files_where_another_has_ended()
    {
        DeviceSpecification specification = MakeFormer("Loop");
        OpenedDisk disk = _host.Begin(specification);
        using ServedQueues served = new(disk.Target, 2, 4, Block);
        LiveDisk live = new(disk, served.Switch, _host);
        Run(live, LiveAction.Hold);
        Run(live, LiveAction.Close);
        served.Begin(1, 0, IoOperation.Write, 0, Filled(0xA1));
        served.Stop(0);
        live.End();
        Assert.Equal(Block, served.End(1, 0, default));
        served.Dispose();
        live.Disk.Target.Dispose();
    }

    [Fact]
    public void An_image_is_resized_between_two_requests()
    {
        DeviceSpecification specification = MakeFormer("Qcow2");
        OpenedDisk disk = _host.Begin(specification);
        using ServedQueues served = new(disk.Target, 1, 4, Block);
        LiveDisk live = new(disk, served.Switch, _host);
        Write(served, 0, 0xA1);
        Run(live, LiveAction.Hold);
        Run(live, LiveAction.Close);
        new ResizeImage { Path = specification.BackingPath!, Format = ImageFormat.Qcow2, Size = 2 * Size }.Run(ImageProgress.None);
        Run(live, LiveAction.Open, specification);
        live.End();
        Assert.Equal(Block, served.Request(0, 0, IoOperation.Write, (2 * Size) - Block, Filled(0xB2)));
        served.Dispose();
        live.Disk.Target.Dispose();
        CheckImages(specification);
    }

    [Fact]
    public void Filters_are_exchanged_and_recorded_but_not_those_with_state()
    {
        DeviceSpecification former = MakeFormer("Loop") with { Filters = [Filter("Delay=1"), Filter("Offset=4096")] };
        OpenedDisk disk = _host.Begin(former);
        using ServedQueues served = new(disk.Target, 1, 4, Block);
        LiveDisk live = new(disk, served.Switch, _host);
        Run(live, LiveAction.Exchange, former with { Filters = [Filter("ErrorRate=1"), Filter("Offset=4096")] });
        Assert.Equal(-5, served.Request(0, 0, IoOperation.Read, 0, new byte[Block]));
        Assert.Equal("ErrorRate=1", $"{_host.Recorded!.Specification.Filters[0]}");
        Assert.Throws<UblkException>(() => Run(live, LiveAction.Exchange, former with { Filters = [Filter("Delay=1")] }));
        Run(live, LiveAction.Exchange, former with { Filters = [Filter("Offset=4096")] });
        Assert.Equal(Block, served.Request(0, 0, IoOperation.Read, 0, new byte[Block]));
        served.Dispose();
        live.Disk.Target.Dispose();
    }

    [Fact]
    public void Commands_in_the_wrong_order_are_refused()
    {
        OpenedDisk disk = _host.Begin(MakeFormer("Loop"));
        using ServedQueues served = new(disk.Target, 1, 4, Block);
        LiveDisk live = new(disk, served.Switch, _host);
        Assert.Throws<UblkException>(() => Run(live, LiveAction.Close));
        Assert.Throws<UblkException>(() => Run(live, LiveAction.Open, disk.Specification));
        Run(live, LiveAction.Hold);
        Assert.Throws<UblkException>(() => Run(live, LiveAction.Hold));
        Assert.Throws<UblkException>(() => Run(live, LiveAction.Exchange, disk.Specification));
        live.End();
        Write(served, 0, 0xA1);
        served.Dispose();
        live.Disk.Target.Dispose();
    }

    private static void Run(LiveDisk live, LiveAction action, DeviceSpecification? specification = null) =>
        live.Run(new LiveOrder(action, specification), _ => { }, () => { });

    private static void Write(ServedQueues served, long offset, byte value) =>
        Assert.Equal(Block, served.Request(0, 0, IoOperation.Write, offset, Filled(value)));

    private static byte[] Filled(byte value)
    {
        byte[] block = new byte[Block];
        block.AsSpan().Fill(value);
        return block;
    }

    private static UblkFilter Filter(string text) =>
        new(text.Split('=')[0], new Dictionary<string, string> { [text.Split('=')[0]] = text.Split('=')[1] });

    private static void Kill(LiveDisk live)
    {
        if (live.Disk.Target is Qcow2Target image && live.IsOpen)
        {
            Qcow2Disk.Kill(image);
        }
        else
        {
            live.Disk.Target.Dispose();
        }
    }

    private static void CheckImages(params DeviceSpecification[] disks)
    {
        foreach (DeviceSpecification disk in disks.Where(disk => disk.Target == "Qcow2"))
        {
            Shell.Run("qemu-img", "check", "-q", disk.BackingPath!);
        }
    }

    private DeviceSpecification MakeFormer(string target)
    {
        string path = $"{_folder}/former";
        Create(path, new NewImageOptions { Format = target == "Qcow2" ? ImageFormat.Qcow2 : ImageFormat.Raw });
        return new DeviceSpecification
        {
            Id = 0, Target = target, Options = new Dictionary<string, string> { ["Path"] = path, ["DirectIO"] = "false" },
        };
    }

    private DeviceSpecification MakeOverlay(DeviceSpecification former)
    {
        string path = $"{_folder}/overlay";
        Create(path, new NewImageOptions
        {
            Format = ImageFormat.Qcow2, BackingFile = former.BackingPath,
            BackingFormat = former.Target == "Qcow2" ? ImageFormat.Qcow2 : ImageFormat.Raw,
        });
        return former with
        {
            Target = "Qcow2", Options = new Dictionary<string, string> { ["Path"] = path, ["DirectIO"] = "false" },
        };
    }

    private static void Create(string path, NewImageOptions options) =>
        new CreateImage { Path = path, Size = Size, Options = options }.Run(ImageProgress.None);
}
