using Ublk.Files;
using Ublk.Images;
using Ublk.Io;
using Ublk.Live;
using Ublk.Qcow2.AtRest;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Live;

/// <summary>An image is merged with its backing file while clients write, and the worker dies at any step of that.</summary>
public sealed class DiskMergeTests : IDisposable
{
    private const int Block = RandomClients.Block;
    private const int Size = RandomClients.Size;
    private const int Queues = RandomClients.Queues;
    private const int Tags = RandomClients.Tags;

    private readonly DirectoryInfo _folder = Directory.CreateDirectory($"/var/tmp/ublk-merge-{Guid.NewGuid():N}");
    private readonly TestHost _host;
    private readonly byte[] _content = new byte[Size];
    private DeviceSpecification _image = null!;
    private DeviceSpecification _backing = null!;

    public DiskMergeTests() => _host = new TestHost(_folder.FullName);

    public static TheoryData<string, Step> Deaths
    {
        get
        {
            TheoryData<string, Step> deaths = [];
            Step[] steps =
                [Step.None, Step.Closed, Step.Opening, Step.Opened, Step.Over, Step.Copying, Step.Rest, Step.Recording, Step.Recorded];
            foreach (Step step in steps)
            {
                deaths.Add("raw", step);
                deaths.Add("qcow2", step);
            }

            deaths.Add("compressed", Step.None);
            deaths.Add("compressed", Step.Rest);
            return deaths;
        }
    }

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [MemberData(nameof(Deaths))]
    public void A_merge_into_the_backing_file_loses_nothing_wherever_the_worker_dies(string kind, Step death)
    {
        Make(kind);
        OpenedDisk disk = _host.Begin(_image);
        using (ServedQueues served = new(disk.Target, Queues, Tags, Block))
        {
            LiveDisk live = new(disk, served.Switch, _host);
            using RandomClients clients = new(served, _content);
            _host.Death = death;
            try
            {
                _host.Run(live, LiveAction.Hold);
                _host.Run(live, LiveAction.Close);
                _host.Die(Step.Closed);
                _host.Run(live, LiveAction.Merge, _backing);
                _host.Run(live, LiveAction.Open, _backing);
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
        string expected = death is Step.None or Step.Recorded ? _backing.BackingPath! : _image.BackingPath!;
        Assert.Equal(expected, _host.Recorded!.Specification.BackingPath);
        using (BlockTarget recovered = _host.Recover().Target)
        {
            Assert.Equal(_content, Read(recovered));
            recovered.Finish();
        }

        Check(expected, mayLeak: true);
        if (death == Step.None)
        {
            File.Delete(_image.BackingPath!);
            using OpenDisk alone = new(expected, kind == "raw" ? ImageFormat.Raw : ImageFormat.Qcow2, null, readOnly: true);
            byte[] content = new byte[Size];
            alone.Read(0, content);
            Assert.Equal(_content, content);
        }
    }

    [Theory]
    [InlineData("raw")]
    [InlineData("qcow2")]
    public void A_merge_that_fails_leaves_the_disk_with_its_image(string kind)
    {
        Make(kind);
        OpenedDisk disk = _host.Begin(_image);
        using (ServedQueues served = new(disk.Target, Queues, Tags, Block))
        {
            LiveDisk live = new(disk, served.Switch, _host);
            using RandomClients clients = new(served, _content);
            foreach (bool isLate in (bool[])[false, true])
            {
                _host.Run(live, LiveAction.Hold);
                _host.Run(live, LiveAction.Close);
                bool hasFailed = false;
                bool isCopying = false;
                Assert.Throws<OperationCanceledException>(() => live.Run(new LiveOrder(LiveAction.Merge, _backing), report =>
                {
                    isCopying |= report.Percent is not null;
                    if (!hasFailed && (isLate ? isCopying && report.Step is not null : report.Percent >= 50))
                    {
                        hasFailed = true;
                        throw new OperationCanceledException();
                    }
                }, () => { }));
                live.End();
                Assert.True(live.IsOpen);
                Assert.Equal(_image.BackingPath, live.Disk.Target.BackingPath);
            }

            clients.Stop();
            Assert.Equal(0, _host.Recorded!.Generation);
            Assert.Equal(_content, Read(served));
            served.Dispose();
            live.Disk.Target.Dispose();
        }

        Check(_image.BackingPath!);
        using OpenDisk image = new(_image.BackingPath!, ImageFormat.Qcow2, null, readOnly: true);
        byte[] content = new byte[Size];
        image.Read(0, content);
        Assert.Equal(_content, content);
    }

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(false, false)]
    public void A_command_that_ends_before_the_switch_leaves_the_disk_that_is_registered(bool isClosed, bool isSwitched)
    {
        Make("qcow2");
        _host.Registered = isSwitched ? _backing.BackingPath : _image.BackingPath;
        OpenedDisk disk = _host.Begin(_image);
        using ServedQueues served = new(disk.Target, Queues, Tags, Block);
        LiveDisk live = new(disk, served.Switch, _host);
        _host.Run(live, LiveAction.Hold);
        _host.Run(live, LiveAction.Close);
        _host.Run(live, LiveAction.Merge, _backing);
        served.Begin(0, 0, IoOperation.Write, Block, new byte[Block]);
        if (isClosed)
        {
            _host.Run(live, LiveAction.Close);
        }

        live.End();
        Assert.Equal(Block, served.End(0, 0, default));
        string expected = isSwitched ? _backing.BackingPath! : _image.BackingPath!;
        Assert.Equal(expected, live.Disk.Target.BackingPath);
        Assert.Equal(expected, _host.Recorded!.Specification.BackingPath);
        _content.AsSpan(Block, Block).Clear();
        Assert.Equal(_content, Read(served));
        served.Dispose();
        live.Disk.Target.Dispose();
        Check(expected);
    }

    [Theory]
    [InlineData("raw", false)]
    [InlineData("qcow2", false)]
    [InlineData("compressed", false)]
    [InlineData("qcow2", true)]
    public void A_pull_makes_the_image_do_without_its_backing_file(string kind, bool dies)
    {
        Make(kind);
        OpenedDisk disk = _host.Begin(_image);
        using (ServedQueues served = new(disk.Target, Queues, Tags, Block))
        {
            LiveDisk live = new(disk, served.Switch, _host);
            using RandomClients clients = new(served, _content);
            _host.Death = dies ? Step.Copying : Step.None;
            try
            {
                _host.Run(live, LiveAction.Pull);
                _host.Run(live, LiveAction.Hold);
                _host.Run(live, LiveAction.Close);
                new RebaseImage { Path = _image.BackingPath!, HeaderOnly = true }.Run(ImageProgress.None);
                _host.Run(live, LiveAction.Open, _image);
                live.End();
                clients.Stop();
            }
            catch (KilledException)
            {
                clients.Stop();
            }
        }

        _host.Kill();
        if (!dies)
        {
            File.Delete(_backing.BackingPath!);
        }

        using (BlockTarget recovered = _host.Recover().Target)
        {
            Assert.Equal(_content, Read(recovered));
            recovered.Finish();
        }

        Check(_image.BackingPath!, mayLeak: true);
    }

    [Fact]
    public void Ranges_are_taken_once_until_they_change_again()
    {
        ChangedRanges ranges = new((300 << 10) + 512);
        long position = 0;
        Assert.True(ranges.TryTake(ref position, 1 << 20, out long offset, out int length));
        Assert.Equal((0, (300 << 10) + 512), (offset, length));
        Assert.Equal(0, ranges.Length);
        ranges.Mark((64 << 10) - 1, 2);
        ranges.Mark(300 << 10, 1);
        Assert.Equal(3 * (64 << 10), ranges.Length);
        position = 0;
        Assert.True(ranges.TryTake(ref position, 64 << 10, out offset, out length));
        Assert.Equal((0, 64 << 10), (offset, length));
        Assert.True(ranges.TryTake(ref position, 1 << 20, out offset, out length));
        Assert.Equal((64 << 10, 64 << 10), (offset, length));
        Assert.True(ranges.TryTake(ref position, 1 << 20, out offset, out length));
        Assert.Equal((256 << 10, (44 << 10) + 512), (offset, length));
        Assert.False(ranges.TryTake(ref position, 1 << 20, out _, out _));
    }

    // Backing files with larger clusters than the image's, so that some are written in part.
    private void Make(string kind)
    {
        new Random(1).NextBytes(_content.AsSpan(0, Size / 2));
        for (int block = 0; block < Size / Block; block += 3)
        {
            _content.AsSpan(block * Block, Block).Fill((byte)block);
        }

        string raw = $"{_folder}/base.raw";
        File.WriteAllBytes(raw, _content);
        string path = $"{_folder}/base";
        Shell.Run("qemu-img", "convert", kind == "compressed" ? "-c" : "-q", "-f", "raw", "-O", kind == "raw" ? "raw" : "qcow2", raw, path);
        File.Delete(raw);
        string image = $"{_folder}/image";
        Shell.Run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=8k", "-F", kind == "raw" ? "raw" : "qcow2", "-b", path,
            image);
        _image = new DeviceSpecification { Id = 0, Target = "Qcow2", Options = Options(image) };
        _backing = _image with { Target = kind == "raw" ? "Loop" : "Qcow2", Options = Options(path) };
        using OpenDisk disk = new(image, ImageFormat.Qcow2, null, readOnly: false);
        for (int block = 1; block < Size / Block; block += 5)
        {
            _content.AsSpan(block * Block, Block).Fill((byte)(block + 100));
            disk.Write(block * Block, _content.AsSpan(block * Block, Block));
        }

        disk.WriteZeroes(Size / 4, Size / 8);
        _content.AsSpan(Size / 4, Size / 8).Clear();
        disk.Finish();
    }

    private static Dictionary<string, string> Options(string path) => new() { ["Path"] = path, ["DirectIO"] = "false" };

    private static byte[] Read(BlockTarget target) => new TargetClient(target).Read(0, Size);

    private static byte[] Read(ServedQueues served)
    {
        byte[] content = new byte[Size];
        for (int offset = 0; offset < Size; offset += Block)
        {
            Assert.Equal(Block, served.Request(0, 0, IoOperation.Read, offset, content.AsSpan(offset, Block)));
        }

        return content;
    }

    // A worker that dies may leave leaked clusters.
    private static void Check(string path, bool mayLeak = false)
    {
        if (File.ReadAllBytes(path)[0] == 'Q')
        {
            Shell.Run("sh", "-c", $"qemu-img check -q '{path}'; [ $? -le {(mayLeak ? 3 : 0)} ]");
        }
    }
}
