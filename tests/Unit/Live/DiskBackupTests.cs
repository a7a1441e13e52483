using System.Collections.Concurrent;
using Ublk.Files;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Live;
using Ublk.Specification;
using Ublk.Targets;
using Ublk.Tests.Serving;
using Ublk.Tests.Targets;
using Ublk.Tests.Targets.Nbd;

namespace Ublk.Tests.Live;

/// <summary>A backup has the content of the disk at one instant, though clients write meanwhile.</summary>
public sealed class DiskBackupTests : IDisposable
{
    private const int Block = RandomClients.Block;
    private const int Size = RandomClients.Size;
    private const int Queues = RandomClients.Queues;
    private const int Tags = RandomClients.Tags;

    private static readonly DeviceSpecification s_memory = new() { Id = 0, Target = "Memory" };

    private readonly DirectoryInfo _folder = Directory.CreateDirectory($"/var/tmp/ublk-backup-{Guid.NewGuid():N}");
    private readonly DirectoryInfo _destination;
    private readonly TestHost _host;
    private readonly byte[] _content = new byte[Size];

    public DiskBackupTests() => (_host, _destination) = (new TestHost(_folder.FullName), _folder.CreateSubdirectory("backups"));

    private string Backup => $"{_destination}/backup";

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("raw", "raw", false)]
    [InlineData("raw", "qcow2", false)]
    [InlineData("raw", "qcow2", true)]
    [InlineData("qcow2", "raw", false)]
    [InlineData("qcow2", "qcow2", true)]
    public void A_backup_has_what_the_disk_had_at_the_instant(string from, string to, bool compress)
    {
        OpenedDisk disk = _host.Begin(Make(from));
        using (ServedQueues served = new(disk.Target, Queues, Tags, Block))
        {
            LiveDisk live = new(disk, served.Switch, _host);
            using RandomClients clients = new(served, _content);

            // The second one takes the place of the first.
            foreach (bool replace in (bool[])[false, true])
            {
                _host.Run(live, Order(to, compress, replace));
                _host.Run(live, LiveAction.Hold);
                byte[] instant = new TargetClient(disk.Target).Read(0, Size);

                // The clients write between two ranges that are read.
                live.Run(new LiveOrder(LiveAction.Copy), _ => { }, () => Thread.Sleep(20));
                Assert.Equal(replace, File.Exists(Backup));
                _host.Run(live, LiveAction.Finish);
                live.End();
                Compare(to, instant);
                Assert.Equal([Backup], Directory.GetFileSystemEntries($"{_destination}"));
            }

            clients.Stop();
            Assert.Equal(_content, new TargetClient(disk.Target).Read(0, Size));
            served.Dispose();
            live.Disk.Target.Dispose();
        }
    }

    [Theory]
    [InlineData("raw", "qcow2", Step.Held)]
    [InlineData("raw", "raw", Step.Copying)]
    [InlineData("qcow2", "qcow2", Step.Copying)]
    [InlineData("qcow2", "raw", Step.Rest)]
    public void A_worker_that_dies_leaves_the_disk_and_nothing_that_looks_like_a_backup(string from, string to, Step death)
    {
        OpenedDisk disk = _host.Begin(Make(from));
        using (ServedQueues served = new(disk.Target, Queues, Tags, Block))
        {
            LiveDisk live = new(disk, served.Switch, _host);
            using RandomClients clients = new(served, _content);
            _host.Death = death;
            Assert.Throws<KilledException>(() =>
            {
                _host.Run(live, Order(to));
                _host.Run(live, LiveAction.Hold);
                _host.Die(Step.Held);
                _host.Run(live, LiveAction.Copy);
                _host.Die(Step.Rest);
            });
            using DeadTarget dead = new();
            served.Switch.Exchange(dead);
            served.Switch.Release(dead);
            clients.Stop();
        }

        _host.Kill();
        Assert.False(File.Exists(Backup));
        using BlockTarget recovered = _host.Recover().Target;
        Assert.Equal(_content, new TargetClient(recovered).Read(0, Size));
        recovered.Finish();
    }

    [Theory]
    [InlineData(Step.None)]
    [InlineData(Step.Held)]
    [InlineData(Step.Copying)]
    [InlineData(Step.Rest)]
    public void A_command_that_ends_early_leaves_no_file_and_requests_go_on(Step end)
    {
        OpenedDisk disk = _host.Begin(Make("qcow2"));
        using ServedQueues served = new(disk.Target, Queues, Tags, Block);
        LiveDisk live = new(disk, served.Switch, _host);
        using RandomClients clients = new(served, _content);
        _host.Run(live, Order("qcow2"));
        if (end != Step.None)
        {
            _host.Run(live, LiveAction.Hold);
        }

        if (end == Step.Copying)
        {
            Assert.Throws<OperationCanceledException>(
                () => live.Run(new LiveOrder(LiveAction.Copy), _ => { }, () => throw new OperationCanceledException()));
        }
        else if (end == Step.Rest)
        {
            _host.Run(live, LiveAction.Copy);
        }

        live.End();
        Assert.Empty(Directory.GetFileSystemEntries($"{_destination}"));
        clients.Stop();
        Assert.Equal(_content, new TargetClient(disk.Target).Read(0, Size));
        served.Dispose();
        disk.Target.Dispose();
    }

    [Fact]
    public void A_disk_that_cannot_be_read_fails_the_backup_and_no_request()
    {
        using MemoryTarget memory = new(Size);
        using UnreadableTarget unreadable = new(memory);
        using ServedQueues served = new(memory, Queues, Tags, Block);
        LiveDisk live = new(
            new OpenedDisk(s_memory, 0, new TargetOptions(s_memory.Options), unreadable, memory, null), served.Switch, _host);
        using RandomClients clients = new(served, _content);
        _host.Run(live, Order("raw"));
        _host.Run(live, LiveAction.Hold);
        UblkException failure = Assert.Throws<UblkException>(() => _host.Run(live, LiveAction.Copy));
        Assert.Equal(Libc.EIO, failure.Errno);
        live.End();
        clients.Stop();
        Assert.Equal(_content, memory.Data);
        Assert.Empty(Directory.GetFileSystemEntries($"{_destination}"));
    }

    [Fact]
    public void A_backup_that_hangs_keeps_no_request_waiting_once_its_command_has_ended()
    {
        using MemoryTarget memory = new(Size);
        using HangingTarget hanging = new(memory);
        using ServedQueues served = new(memory, 1, 1, Block);
        LiveDisk live = new(
            new OpenedDisk(s_memory, 0, new TargetOptions(s_memory.Options), hanging, memory, null), served.Switch, _host);
        _host.Run(live, Order("raw"));
        _host.Run(live, LiveAction.Hold);
        bool hasEnded = false;
        Exception? failure = null;
        Thread command = new(() => failure = Record.Exception(() => live.Run(new LiveOrder(LiveAction.Copy), _ => { }, () =>
        {
            if (Volatile.Read(ref hasEnded))
            {
                throw new OperationCanceledException();
            }
        })));
        command.Start();
        QueueWaiter read = hanging.Read.Take(TestContext.Current.CancellationToken);
        served.Begin(0, 0, IoOperation.Write, 0, new byte[Block]);
        Assert.False(served.IsAnswered(0, 0));
        Volatile.Write(ref hasEnded, true);
        Assert.Equal(Block, served.End(0, 0, default));
        read.Wake(0);
        command.Join();
        Assert.IsType<OperationCanceledException>(failure);
        live.End();
        Assert.Empty(Directory.GetFileSystemEntries($"{_destination}"));
    }

    [Fact]
    public void A_change_waits_until_what_it_changes_is_read_and_no_other_request_does()
    {
        const int Chunk = 64 << 10;
        using MemoryTarget memory = new(Size);
        UncopiedChunks chunks = new(Size);
        chunks.Add(0, 2 * Size);
        Assert.Equal(Size, chunks.Length);
        using BackupTarget target = new(memory, chunks);
        using ServedQueues served = new(target, 1, 4, Block);
        byte[] data = new byte[Block];
        Assert.True(chunks.TryGetNext(2 * Chunk, out long offset, out int length));
        Assert.Equal((0, 2 * Chunk), (offset, length));
        chunks.Remove(0, 2 * Chunk);
        Assert.Equal(Block, served.Request(0, 0, IoOperation.Write, Chunk, data));
        Assert.Equal(Block, served.Request(0, 0, IoOperation.Read, 9 * Chunk, data));
        Assert.Equal(0, served.Request(0, 0, IoOperation.Flush, 0, []));
        served.Begin(0, 0, IoOperation.Write, (9 * Chunk) - Block, data);
        served.Begin(0, 1, IoOperation.WriteZeroes, 5 * Chunk, data);
        served.Begin(0, 2, IoOperation.Discard, 5 * Chunk, data);

        // It comes before what follows on the disk, and is no longer than needed.
        SortedSet<long> read = [];
        bool areAllRead = new Deadline(TimeSpan.FromSeconds(20)).Wait(() =>
        {
            Assert.True(chunks.TryGetNext(16 * Chunk, out offset, out length));
            if (length == Chunk)
            {
                read.Add(offset / Chunk);
                chunks.Remove(offset, length);
            }

            return read.Count == 2;
        }, TestContext.Current.CancellationToken);
        Assert.True(areAllRead);
        Assert.Equal([5, 8], read);
        for (int tag = 0; tag < 3; tag++)
        {
            Assert.True(served.End(0, tag, default) >= 0);
        }

        // The end of a backup lets all go on. A disk may have grown meanwhile.
        served.Begin(0, 0, IoOperation.Write, Size - Block, data);
        chunks.Clear();
        Assert.Equal(Block, served.End(0, 0, default));
        Assert.False(chunks.TryGetNext(Chunk, out _, out _));
        Assert.False(chunks.Intersects(Size, Size));
    }

    [Fact]
    public void A_backup_cannot_take_the_place_of_the_disk_or_go_where_the_worker_has_another_folder()
    {
        DeviceSpecification specification = Make("raw");
        OpenedDisk disk = _host.Begin(specification);
        using ServedQueues served = new(disk.Target, 1, 1, Block);
        LiveDisk live = new(disk, served.Switch, _host);
        BackupOrder own = new(
            specification.BackingPath!, FileIdentity.Of(_folder.FullName), ".part", ImageFormat.Raw, Size) { Replace = true };
        UblkException failure = Assert.Throws<UblkException>(() => _host.Run(live, new LiveOrder(LiveAction.Backup) { Backup = own }));
        Assert.Contains("a file of device 0 itself", failure.Message, StringComparison.Ordinal);
        BackupOrder elsewhere = new(Backup, FileIdentity.Of(_folder.FullName), ".part", ImageFormat.Raw, Size);
        failure = Assert.Throws<UblkException>(() => _host.Run(live, new LiveOrder(LiveAction.Backup) { Backup = elsewhere }));
        Assert.Contains("another file system", failure.Message, StringComparison.Ordinal);
        live.End();
        Assert.Equal(Size, new FileInfo(specification.BackingPath!).Length);
        Assert.Empty(Directory.GetFileSystemEntries($"{_destination}"));
        served.Dispose();
        disk.Target.Dispose();
    }

    [Fact]
    public void A_disk_that_has_grown_is_copied_to_its_end()
    {
        OpenedDisk disk = _host.Begin(Make("raw"));
        using ServedQueues served = new(disk.Target, 1, 1, Block);
        LiveDisk live = new(disk, served.Switch, _host);
        using (FileStream file = File.OpenWrite(disk.Target.BackingPath!))
        {
            file.SetLength(Size + (3 * Block));
        }

        byte[] data = new byte[Block];
        data.AsSpan().Fill(7);
        Assert.Equal(Block, served.Request(0, 0, IoOperation.Write, Size + (2 * Block), data));
        LiveOrder order = Order("qcow2");
        _host.Run(live, order with { Backup = order.Backup! with { Size = Size + (3 * Block) } });
        _host.Run(live, LiveAction.Hold);
        _host.Run(live, LiveAction.Copy);
        _host.Run(live, LiveAction.Finish);
        live.End();
        served.Dispose();
        disk.Target.Dispose();
        Compare("qcow2", File.ReadAllBytes(disk.Target.BackingPath!));
    }

    [Fact]
    public void The_export_of_a_server_is_copied_over_the_connections_of_the_queues()
    {
        Make("raw");
        using NbdServer server = NbdServer.Nbdkit("file", $"{_folder}/disk");
        OpenedDisk disk = _host.Begin(new DeviceSpecification
        {
            Id = 0,
            Target = "Nbd",
            Options = new Dictionary<string, string> { ["Uri"] = server.Uri() },
        });
        using ServedQueues served = new(disk.Target, Queues, Tags, Block);
        LiveDisk live = new(disk, served.Switch, _host);
        using (RandomClients clients = new(served, _content))
        {
            _host.Run(live, Order("qcow2"));
            _host.Run(live, LiveAction.Hold);
            byte[] instant = File.ReadAllBytes($"{_folder}/disk");
            live.Run(new LiveOrder(LiveAction.Copy), _ => { }, () => Thread.Sleep(20));
            _host.Run(live, LiveAction.Finish);
            live.End();
            Compare("qcow2", instant);
        }

        Assert.Equal(_content, File.ReadAllBytes($"{_folder}/disk"));

        // A lost connection ends the backup.
        _host.Run(live, Order("qcow2", replace: true));
        _host.Run(live, LiveAction.Hold);
        server.Kill();
        Assert.NotEqual(0, Assert.Throws<UblkException>(() => _host.Run(live, LiveAction.Copy)).Errno);
        live.End();
        Assert.Equal([Backup], Directory.GetFileSystemEntries($"{_destination}"));
        served.Dispose();
        disk.Target.Dispose();
    }

    // Half of it is zero: a quarter was never written, a quarter was written with zeroes.
    private DeviceSpecification Make(string format)
    {
        new Random(1).NextBytes(_content.AsSpan(0, Size / 2));
        string raw = $"{_folder}/raw";
        File.WriteAllBytes(raw, _content.AsSpan(0, Size * 3 / 4));
        using (FileStream file = File.OpenWrite(raw))
        {
            file.SetLength(Size);
        }

        Shell.Run("qemu-img", "convert", "-q", "-S", "0", "-f", "raw", "-O", format, raw, $"{_folder}/disk");
        return new DeviceSpecification
        {
            Id = 0,
            Target = format == "raw" ? "Loop" : "Qcow2",
            Options = new Dictionary<string, string> { ["Path"] = $"{_folder}/disk", ["DirectIO"] = "false" },
        };
    }

    private LiveOrder Order(string format, bool compress = false, bool replace = false) => new(LiveAction.Backup)
    {
        Backup = new BackupOrder(
            Backup, FileIdentity.Of(_destination.FullName), ".part", format == "raw" ? ImageFormat.Raw : ImageFormat.Qcow2, Size)
        {
            Compress = compress,
            Replace = replace,
        },
    };

    private void Compare(string format, byte[] expected)
    {
        string raw = $"{_folder}/expected";
        File.WriteAllBytes(raw, expected);
        Shell.Run("qemu-img", "compare", "-q", "-f", "raw", "-F", format, raw, Backup);
        if (format == "qcow2")
        {
            Shell.Run("qemu-img", "check", "-q", Backup);
        }
    }

    /// <summary>A read of the copy ends when the test lets it.</summary>
    private sealed class HangingTarget(BlockTarget inner) : BlockTarget
    {
        public BlockingCollection<QueueWaiter> Read { get; } = [];

        public override TargetGeometry Geometry => inner.Geometry;

        public override IoTask<int> HandleAsync(IoRequest request)
        {
            QueueWaiter waiter = QueueWaiter.Rent();
            IoTask<int> answer = waiter.Task;
            Read.Add(waiter);
            return answer;
        }

        protected override void Dispose(bool disposing)
        {
            Read.Dispose();
            base.Dispose(disposing);
        }
    }

    /// <summary>Half of the disk cannot be read by the copy.</summary>
    private sealed class UnreadableTarget(BlockTarget inner) : BlockTarget
    {
        public override TargetGeometry Geometry => inner.Geometry;

        public override IoTask<int> HandleAsync(IoRequest request) =>
            request.Offset + request.Length > Size / 2 ? -Libc.EIO : inner.HandleAsync(request);
    }
}
