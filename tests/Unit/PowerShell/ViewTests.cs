using Ublk.Control;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Filters;
using Ublk.Images;
using Ublk.Logging;
using Ublk.Measuring;
using Ublk.Registration;
using Ublk.Specification;

namespace Ublk.Tests.PowerShell;

/// <summary>What a console shows of the objects.</summary>
public sealed class ViewTests : IDisposable
{
    private readonly CmdletSession _session = new();

    private readonly UblkDevice _device = new()
    {
        Id = 7,
        Target = "Loop",
        Options = new Dictionary<string, string> { ["Offset"] = "4096" },
        BackingPath = "/images/disk.img",
        Size = 8384512,
        State = DeviceState.Live,
        QueueCount = 1,
        QueueDepth = 128,
        ProcessId = 1234,
        WorkerVersion = "0.0.9",
        Owner = "root",
        Flags = UblkFeatures.CmdIoctlEncode,
        Queues = [new(0, 1235, "0-3")],
        DeviceNumber = "259:7",
        CharDeviceNumber = "240:7",
        MountPoints = ["/mnt", "/srv"],
    };

    public void Dispose() => _session.Dispose();

    [Fact]
    public void A_table_of_devices_has_the_essentials()
    {
        string table = _session.Show(_device, 120, "Format-Table");
        Assert.Matches("Id +Device +Target +Size +State +Recovery +MountPoint +File\n", table);
        Assert.Matches("\n +7 +/dev/ublkb7 +Loop +8 MiB +Live +/mnt, /srv +/images/disk.img\n", table);
    }

    [Fact]
    public void A_list_of_a_device_has_everything()
    {
        string list = _session.Show(_device, 120, "Format-List");
        string[] lines =
        [
            "Id +: 7", "State +: Live", @"Device +: /dev/ublkb7 \(259:7\)", @"CharDevice +: /dev/ublkc7 \(240:7\)", "Target +: Loop",
            "Options +: Offset=4096", "Backing +: /images/disk.img", @"Size +: 8384512 \(8 MiB\)", "Flags +: CmdIoctlEncode",
                "Owner +: root",
            "ProcessId +: 1234", @"WorkerVersion +: 0\.0\.9 \(outdated\)",
            "Queues +: 0: thread 1235 on CPU 0-3", "MountPoints +: /mnt, /srv",
        ];
        Assert.All(lines, line => Assert.Matches($"(?m)^{line}$", list));
    }

    [Fact]
    public void What_is_not_known_of_a_device_is_left_out()
    {
        UblkDevice foreign = new() { Id = 0 };
        Assert.Matches("\n +0 +/dev/ublkb0\\s*\n", _session.Show(foreign, 80, "Format-Table"));
        Assert.Matches("(?m)^Device +: /dev/ublkb0 \\(no disk\\)$", _session.Show(foreign, 80, "Format-List"));
    }

    public static TheoryData<string, int> Tables => [.. Objects.Keys.SelectMany(name => new[] { 80, 120 }, (name, width) => (name, width))];

    // An object of each type that has a table. Paths are longer than a column.
    private static Dictionary<string, object[]> Objects => new()
    {
        ["UblkDevice"] =
        [
            new UblkDevice
            {
                Id = 0, Target = "Loop", BackingPath = "/images/disk.img", Size = 1L << 30, State = DeviceState.Live,
                Recovery = RecoveryMode.Reissue, MountPoints = ["/mnt"],
            },
            new UblkDevice
            {
                Id = 12, Name = "backup", Target = "Qcow2", BackingPath = "/var/lib/machines/images/monday.qcow2", Size = 20L << 30,
                State = DeviceState.Suspended, Recovery = RecoveryMode.Queue, MountPoints = ["/srv/data", "/srv/more"],
                IsBackingDeleted = true,
            },
            new UblkDevice { Id = 100, State = DeviceState.Unserved },
        ],
        ["UblkMeasurement"] =
        [
            new UblkMeasurement
            {
                Id = 0, DevicePath = "/dev/ublkb0", Time = new DateTime(2026, 1, 2, 3, 4, 5), Seconds = 1, ReadsPerSecond = 377.9,
                WritesPerSecond = 1234567, FlushesPerSecond = 1, DiscardsPerSecond = 0, ReadBytesPerSecond = 1.5e6,
                WriteBytesPerSecond = 6.4e10, Errors = 3, InFlight = 17, ReadMaxMicros = 4000, WriteMaxMicros = null,
                ReadLatencies = new UblkHistogram([new UblkHistogramStep(30, 32, 100), new UblkHistogramStep(3500, 3600, 2)]),
                WriteLatencies = new UblkHistogram([]), ReadSizes = new UblkHistogram([]), WriteSizes = new UblkHistogram([]),
            },
        ],
        ["UblkRegistration"] =
        [
            new UblkRegistration { Name = "data", Target = "Loop", BackingPath = "/images/data.img" },
            new UblkRegistration
            {
                Name = "a-much-longer-name", Target = "Qcow2", BackingPath = "/var/lib/machines/images/a-much-longer-name.qcow2",
            },
        ],
        ["UblkImage"] =
        [
            new UblkImage
            {
                Path = "/var/lib/machines/images/monday.qcow2", Format = ImageFormat.Qcow2, VirtualSize = 20L << 30, DiskSize = 196608,
                FileSize = 196608, InUse = false,
            },
        ],
        ["UblkImageSnapshot"] =
        [
            new UblkImageSnapshot
            {
                Path = "/var/lib/machines/images/monday.qcow2", Id = "1", Name = "before-upgrade-of-everything",
                Created = new DateTime(2026, 1, 2, 3, 4, 5), VirtualSize = 20L << 30, VMStateSize = 0,
            },
        ],
        ["UblkImageBitmap"] =
        [
            new UblkImageBitmap
            {
                Path = "/var/lib/machines/images/monday.qcow2", Name = "since-the-last-full-backup", Granularity = 65536, Enabled = true,
                InUse = false,
            },
        ],
        ["ImageExtent"] =
        [
            new ImageExtent
            {
                Start = 0, Length = 65536, Depth = 0, Present = true, Zero = false, Data = true, Compressed = false, Offset = 327680,
                Path = "/var/lib/machines/images/monday.qcow2",
            },
        ],
        ["ImageCheckResult"] =
        [
            new ImageCheckResult
            {
                Path = "/images/disk.qcow2", Format = ImageFormat.Qcow2, Corruptions = 1, Leaks = 1,
                Findings =
                [
                    "Cluster 0 is referred to 1 times, but its reference count is 0.",
                    "Cluster 7 is leaked: it is referred to 0 times, and its reference count is 1.",
                ],
            },
        ],
        ["UblkFilterDefinition"] = [new UblkFilterDefinition("ErrorRate", "Fails a share of the requests.", [])],
        ["UblkLogEntry"] =
        [
            new UblkLogEntry
            {
                Id = 0, Time = new DateTime(2026, 1, 2, 3, 4, 5), Level = LogLevel.Information, ProcessId = 1234,
                Message = "device 0 is live: Loop /images/disk.img 1073741824 bytes",
            },
        ],
        ["ImageComparison"] =
        [
            new ImageComparison { Path = "/images/a.qcow2", OtherPath = "/images/b.raw", Size = 1, OtherSize = 1, FirstDifference = 0 },
        ],
        ["ImageMeasurement"] =
            [new ImageMeasurement { Path = "/images/a.qcow2", Format = ImageFormat.Qcow2, Required = 393216, FullyAllocated = 1 << 30 }],
    };

    // UBLK_ACCEPT_VIEWS=1 writes the file anew.
    [Theory]
    [MemberData(nameof(Tables))]
    public void An_object_is_shown_as_before(string name, int width)
    {
        string file = Path.Combine(Repository.Root, "tests", "Unit", "PowerShell", "Views", $"{name}.{width}.txt");
        string shown = string.Concat(_session.Run($"$args | Out-String -Width {width}", Objects[name])).ReplaceLineEndings("\n");
        if (Environment.GetEnvironmentVariable("UBLK_ACCEPT_VIEWS") == "1")
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllText(file, shown);
        }

        Assert.Equal(File.ReadAllText(file), shown);
        Assert.All(shown.Split('\n'), line => Assert.InRange(line.Length, 0, width));
    }
}
