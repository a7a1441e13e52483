using System.Text.Json;
using Ublk.Files;
using Ublk.Images;
using Ublk.Io;
using Ublk.Live;
using Ublk.Qcow2.AtRest;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Live;

/// <summary>A chain of backups by a persistent bitmap has the content of the disk at each of their instants.</summary>
public sealed class IncrementalBackupTests : IDisposable
{
    private const int Block = RandomClients.Block;
    private const int Size = RandomClients.Size;
    private const int Queues = RandomClients.Queues;
    private const int Tags = RandomClients.Tags;
    private const string Bitmap = "daily";

    private readonly DirectoryInfo _folder = Directory.CreateDirectory($"/var/tmp/ublk-increments-{Guid.NewGuid():N}");
    private readonly DirectoryInfo _backups;
    private readonly TestHost _host;
    private readonly byte[] _content = new byte[Size];
    private LiveDisk? _live;

    public IncrementalBackupTests() => (_host, _backups) = (new TestHost(_folder.FullName), _folder.CreateSubdirectory("backups"));

    private string Image => $"{_folder}/disk.qcow2";

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData(512, false)]
    [InlineData(65536, true)]
    [InlineData(1 << 20, false)]
    public void A_chain_under_load_restores_each_instant(long granularity, bool compress)
    {
        OpenedDisk disk = _host.Begin(Make(granularity));
        Dictionary<string, byte[]> instants = [];
        using (ServedQueues served = new(disk.Target, Queues, Tags, Block))
        {
            LiveDisk live = new(disk, served.Switch, _host);
            using RandomClients clients = new(served, _content);
            string? former = null;
            foreach (string name in (string[])["full", "one", "two", "three"])
            {
                // One that is given up amid the copy, and one that is not given its name, take nothing from the next.
                for (int attempt = 0; attempt < 3; attempt++)
                {
                    _host.Run(live, Order(name, former, compress));
                    _host.Run(live, LiveAction.Hold);
                    byte[] instant = new TargetClient(disk.Target).Read(0, Size);
                    bool isCancelled = attempt == 0;
                    Exception? failure = Record.Exception(() => live.Run(new LiveOrder(LiveAction.Copy), _ => { }, () =>
                    {
                        Thread.Sleep(5);
                        if (isCancelled)
                        {
                            throw new OperationCanceledException();
                        }
                    }));
                    Assert.True(failure is null or OperationCanceledException, $"{failure}");
                    if (attempt == 2)
                    {
                        _host.Run(live, LiveAction.Finish);
                        instants[name] = instant;
                    }

                    live.End();
                }

                former = name;
                Thread.Sleep(20);
            }

            clients.Stop();
            served.Dispose();
            disk.Target.Finish();
            disk.Target.Dispose();
        }

        foreach ((string name, byte[] instant) in instants)
        {
            Compare(name, instant);
        }

        Assert.Equal(["full.qcow2", "one.qcow2", "three.qcow2", "two.qcow2"],
            Directory.GetFileSystemEntries(_backups.FullName).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Shell.Run("qemu-img", "check", "-q", Image);
    }

    [Fact]
    public void Only_what_has_changed_is_copied_and_zeroes_hide_the_backup_before()
    {
        Use(Make(65536), target =>
        {
            BackUp("full", null);
            target.Write(1 << 20, Filled(9, Block));
            target.Zero(2 << 20, 64 << 10);
            target.Write(3 << 20, new byte[Block]);
            target.Discard((3 << 20) + (512 << 10), 64 << 10);
            BackUp("one", "full");
            BackUp("two", "one");
        });
        Compare("one", _content);
        Compare("two", _content);
        JsonElement info = JsonDocument.Parse(Shell.Run("qemu-img", "info", "--output=json", PathOf("one"))).RootElement;
        Assert.Equal("full.qcow2", info.GetProperty("backing-filename").GetString());
        Assert.Equal("qcow2", info.GetProperty("backing-filename-format").GetString());
        Assert.Equal([(1 << 20, false), (2 << 20, true), (3 << 20, false), ((3 << 20) + (512 << 10), true)], OwnClusters("one"));
        Assert.Empty(OwnClusters("two"));
    }

    [Fact]
    public void The_size_may_change_between_two_backups()
    {
        DeviceSpecification specification = Make(65536);
        Use(specification, _ => BackUp("full", null));
        Resize(Size / 2);
        Use(specification, target =>
        {
            target.Write(0, Filled(3, Block));
            BackUp("shrunk", "full");
        });
        Resize(Size + (256 << 10));
        Use(specification, target =>
        {
            target.Write(Size, Filled(4, Block));
            BackUp("grown", "shrunk");
        });
        byte[] grown = new byte[Size + (256 << 10)];
        _content.AsSpan(0, Size / 2).CopyTo(grown);
        grown.AsSpan(Size, Block).Fill(4);
        Compare("shrunk", _content[..(Size / 2)]);
        Compare("grown", grown);

        void Resize(long size) =>
            new ResizeImage { Path = Image, Format = ImageFormat.Qcow2, Size = size, Shrink = true }.Run(ImageProgress.None);
    }

    [Fact]
    public void A_raw_backup_can_be_the_first()
    {
        Use(Make(65536), target =>
        {
            BackUp("full", null, ImageFormat.Raw);
            target.Zero(0, 1 << 20);
            target.Write(2 << 20, Filled(9, 512));
            BackUp("one", "full", backingFormat: ImageFormat.Raw);
        });
        Compare("one", _content);
    }

    // After the copy nothing but the name is missing.
    [Theory]
    [InlineData(Step.Held)]
    [InlineData(Step.Rest)]
    public void A_worker_that_dies_leaves_a_bitmap_that_is_refused_until_it_is_made_anew(Step death)
    {
        DeviceSpecification specification = Make(65536);
        Use(specification, target => BackUp("full", null));
        OpenedDisk disk = _host.Begin(specification);
        using (ServedQueues served = new(disk.Target, Queues, Tags, Block))
        {
            LiveDisk live = new(disk, served.Switch, _host);
            using RandomClients clients = new(served, _content);
            _host.Run(live, Order("one", "full"));
            _host.Run(live, LiveAction.Hold);
            if (death == Step.Rest)
            {
                _host.Run(live, LiveAction.Copy);
            }

            using DeadTarget dead = new();
            served.Switch.Exchange(dead);
            served.Switch.Release(dead);
            clients.Stop();
        }

        // As the command does it.
        _host.Kill();
        File.Delete($"{_backups}/.part");
        Use(specification, target =>
        {
            target.Read(0, Size).CopyTo(_content, 0);
            UblkException failure = Assert.Throws<UblkException>(() => BackUp("one", "full"));
            Assert.Equal(UblkError.BitmapNotFound, failure.Error);
            Assert.Contains("Backup-UblkDevice 0 -DestinationPath PATH -Bitmap 'daily'", failure.Message, StringComparison.Ordinal);
        });
        Begin(65536);
        Use(specification, target =>
        {
            BackUp("again", null);
            target.Write(0, Filled(5, Block));
            BackUp("one", "again");
        });
        Compare("one", _content);
    }

    // A backup that is to begin the chain may fail, and the next may be an incremental one on an older backup.
    [Fact]
    public void A_bitmap_that_is_made_for_a_backup_has_everything_as_changed_until_there_is_one()
    {
        DeviceSpecification specification = Make(65536);
        Use(specification, target =>
        {
            BackUp("old", null);
            target.Write(0, Filled(5, 1 << 20));
        });
        Shell.Run("qemu-img", "bitmap", "--disable", Image, Bitmap);
        Use(specification, _ => Assert.Equal(UblkError.BitmapNotFound, Assert.Throws<UblkException>(() => BackUp("one", "old")).Error));
        Begin(65536);
        Use(specification, _ => BackUp("full", null, isFinished: false));
        JsonElement map = JsonDocument.Parse(Shell.Run("nbdinfo", $"--map=qemu:dirty-bitmap:{Bitmap}", "--json", "--",
            "[", "qemu-nbd", "-r", "-f", "qcow2", "-B", Bitmap, Image, "]")).RootElement;
        Assert.Equal([(Size, 1)],
            map.EnumerateArray().Select(extent => (extent.GetProperty("length").GetInt32(), extent.GetProperty("type").GetInt32())));
        Use(specification, _ => BackUp("one", "old"));
        Compare("one", _content);
    }

    [Fact]
    public void A_file_of_the_disk_is_no_backup_of_it()
    {
        Use(Make(65536), _ =>
        {
            BackUp("full", null);
            string overlay = PathOf("overlay");
            Shell.Run("qemu-img", "create", "-q", "-f", "qcow2", "-b", Image, "-F", "qcow2", overlay);
            foreach (string path in (string[])[Image, overlay])
            {
                LiveOrder order = Order("one", "full");
                UblkException failure = Assert.Throws<UblkException>(
                    () => Run(order with { Backup = order.Backup! with { BackingPath = path } }));
                Assert.Contains("a file of device 0 itself", failure.Message, StringComparison.Ordinal);
            }

            Assert.Equal(UblkError.PathNotFound, Assert.Throws<UblkException>(() => BackUp("one", "missing")).Error);
            Assert.False(File.Exists(PathOf("one")));
        });
    }

    private DeviceSpecification Make(long granularity)
    {
        new Random(1).NextBytes(_content);
        string raw = $"{_folder}/raw";
        File.WriteAllBytes(raw, _content);
        Shell.Run("qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", raw, Image);
        Begin(granularity);
        return new DeviceSpecification
        {
            Id = 0,
            Target = "Qcow2",
            Options = new Dictionary<string, string> { ["Path"] = Image, ["DirectIO"] = "false" },
        };
    }

    // As a full backup does it where there is none.
    private void Begin(long granularity) => new CreateBitmap
    {
        Path = Image,
        Name = Bitmap,
        Granularity = granularity,
        AllChanged = true,
        Replace = true,
    }.Run(ImageProgress.None);

    private void Use(DeviceSpecification specification, Action<Client> use)
    {
        OpenedDisk disk = _host.Begin(specification);
        using ServedQueues served = new(disk.Target, Queues, Tags, Block);
        _live = new LiveDisk(disk, served.Switch, _host);
        use(new Client(served, disk.Target, _content));
        served.Dispose();
        disk.Target.Finish();
        disk.Target.Dispose();
        Shell.Run("qemu-img", "check", "-q", Image);
    }

    private void BackUp(
        string name, string? former, ImageFormat format = ImageFormat.Qcow2, ImageFormat backingFormat = ImageFormat.Qcow2,
        bool isFinished = true)
    {
        LiveOrder order = Order(name, former);
        long size = _live!.Disk.Target.Geometry.Size;
        order = order with { Backup = order.Backup! with { Format = format, BackingFormat = backingFormat, Size = size } };
        Run(order, isFinished);
    }

    private void Run(LiveOrder order, bool isFinished = true)
    {
        try
        {
            _host.Run(_live!, order);
            _host.Run(_live!, LiveAction.Hold);
            _host.Run(_live!, LiveAction.Copy);
            if (isFinished)
            {
                _host.Run(_live!, LiveAction.Finish);
            }
        }
        finally
        {
            _live!.End();
        }
    }

    private LiveOrder Order(string name, string? former, bool compress = false) => new(LiveAction.Backup)
    {
        Backup = new BackupOrder(PathOf(name), FileIdentity.Of(_backups.FullName), ".part", ImageFormat.Qcow2, Size)
        {
            Compress = compress,
            Bitmap = Bitmap,
            BackingPath = former is null ? null : PathOf(former),
            BackingFormat = ImageFormat.Qcow2,
        },
    };

    private static byte[] Filled(byte value, int length)
    {
        byte[] data = new byte[length];
        data.AsSpan().Fill(value);
        return data;
    }

    private string PathOf(string name) => $"{_backups}/{name}.qcow2";

    private void Compare(string name, byte[] expected)
    {
        string raw = $"{_folder}/expected";
        File.WriteAllBytes(raw, expected);
        Shell.Run("qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", raw, PathOf(name));
        Shell.Run("qemu-img", "check", "-q", PathOf(name));
    }

    // Where the runs of clusters are that the image itself has, and whether they are zero.
    private IEnumerable<(int Offset, bool IsZero)> OwnClusters(string name) =>
        JsonDocument.Parse(Shell.Run("qemu-img", "map", "--output=json", PathOf(name))).RootElement.EnumerateArray()
            .Where(extent => extent.GetProperty("depth").GetInt32() == 0 && extent.GetProperty("present").GetBoolean())
            .Select(extent => (extent.GetProperty("start").GetInt32(), extent.GetProperty("zero").GetBoolean()));

    /// <summary>A client whose changes are entered in the expected content.</summary>
    private sealed class Client(ServedQueues served, BlockTarget disk, byte[] content)
    {
        public byte[] Read(long offset, int length) => new TargetClient(disk).Read(offset, length);

        public void Write(long offset, byte[] data)
        {
            for (int position = 0; position < data.Length; position += Block)
            {
                byte[] part = data[position..int.Min(data.Length, position + Block)];
                Assert.Equal(part.Length, served.Request(0, 0, IoOperation.Write, offset + position, part));
            }

            if (offset < content.Length)
            {
                data.CopyTo(content, offset);
            }
        }

        public void Zero(int offset, int length)
        {
            new TargetClient(disk).WriteZeroes(offset, length);
            content.AsSpan(offset, length).Clear();
        }

        // Of whole clusters, which then read as zeroes.
        public void Discard(int offset, int length)
        {
            new TargetClient(disk).Discard(offset, length);
            content.AsSpan(offset, length).Clear();
        }
    }
}
