using Ublk.Control;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Images;

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
            "ProcessId +: 1234", "Queues +: 0: thread 1235 on CPU 0-3", "MountPoints +: /mnt, /srv",
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

    [Fact]
    public void A_table_fits_a_console_of_80_columns()
    {
        UblkImage image = new()
        {
            Path = "/images/"
                + new string('x', 200), Format = ImageFormat.Qcow2, VirtualSize = 1, DiskSize = 1, FileSize = 1, InUse = false,
        };
        object[] shown = [_device, image];
        Assert.All(shown, one => Assert.All(
            _session.Show(one, 80, "Format-Table").Split('\n'), line => Assert.InRange(line.Length, 0, 80)));
    }
}
