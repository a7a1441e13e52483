using System.Text;
using Ublk.Devices;
using Ublk.Interop;
using Ublk.Processes;

namespace Ublk.Tests.Devices;

/// <summary>A mount is found by its device, by its source, and by what the file system says of its other disks.</summary>
public class DeviceUsersTests
{
    private const string Ext4 = @"36 35 259:1 / /mnt\040a rw,noatime shared:1 - ext4 /dev/ublkb1p2 rw,errors=continue";
    private const string Btrfs = "37 1 0:44 / /mnt rw - btrfs /dev/ublkb2 rw,space_cache=v2";

    private static readonly DiskSet[] Sets = [new("btrfs 1-2", ["ublkb2", "ublkb3"])];

    [Theory]
    [InlineData(Ext4, 1)]
    [InlineData("36 35 0:5 / /mnt rw - xfs /dev/sda rw,logdev=/dev/ublkb1,noquota", 1)]
    [InlineData("36 35 0:5 / /mnt rw - bcachefs /dev/sda:/dev/ublkb1 rw", 1)]
    [InlineData(Btrfs, 2)]
    [InlineData(Btrfs, 3)]
    public void A_mount_is_on_its_disks(string line, int id) => Assert.True(DiskMount.Of(MountTable.Parse(line), Sets).IsOn(id, []));

    [Theory]
    [InlineData(Ext4, 0)]
    [InlineData(Ext4, 11)]
    [InlineData(Btrfs, 1)]
    [InlineData("36 35 0:5 / /dev/ublkb1 rw - tmpfs tmpfs rw", 1)]
    public void A_mount_is_on_no_other(string line, int id) => Assert.False(DiskMount.Of(MountTable.Parse(line), Sets).IsOn(id, []));

    [Fact]
    public void A_mount_is_found_by_the_number_of_its_device() =>
        Assert.True(DiskMount.Of(MountTable.Parse("36 35 259:7 / /mnt rw - ext4 /dev/root rw"), []).IsOn(5, ["259:7"]));

    [Theory]
    [InlineData("ublkb1", true)]
    [InlineData("ublkb1p12", true)]
    [InlineData("ublkb12", false)]
    [InlineData("ublkb1p", false)]
    [InlineData("ublkb1px", false)]
    [InlineData("sda", false)]
    public void A_disk_and_its_partitions_are_its_own(string name, bool isIts) => Assert.Equal(isIts, DeviceUsers.IsDisk(name, 1));

    [Fact]
    public void A_line_of_a_mount_table_is_read()
    {
        MountTable mount = MountTable.Parse(Ext4);
        Assert.Equal(new MountTable(36, 35, "259:1", "/mnt a", IsShared: true, "/dev/ublkb1p2", "rw,errors=continue"), mount);
        Assert.False(MountTable.Parse(Btrfs).IsShared);

        // A tab, a line feed, a backslash, a carriage return, which is not escaped, an umlaut, and a byte that is no UTF-8.
        mount = MountTable.Parse("36 35 259:1 / /a\\011b\\012c\\134d\re\u00C3\u00BCf\u00FF rw - ext4 /dev/ublkb1 rw");
        Assert.Equal("/a\tb\nc\\d\re\u00FCf\uFFFD", Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(mount.Point)));
        Assert.Equal("/a\tb\nc\\d\re\u00C3\u00BCf\u00FF", Encoding.Latin1.GetString(RawText.ToBytes(mount.Point)));
    }

    [Fact]
    public void What_is_mounted_on_a_private_mount_is_kept_by_a_copy()
    {
        const string shared = "1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw";
        const string isPrivate = "1 0 8:1 / / rw - ext4 /dev/sda1 rw";
        Assert.False(MountTable.HasUnfollowed([MountTable.Parse(isPrivate)]));
        Assert.True(MountTable.HasUnfollowed([MountTable.Parse(isPrivate), MountTable.Parse(Btrfs)]));
        Assert.False(MountTable.HasUnfollowed([MountTable.Parse(shared), MountTable.Parse(Btrfs)]));
    }
}
