namespace Ublk.Devices;

/// <summary>The disks that a block device consists of.</summary>
internal static class DiskStack
{
    /// <summary>Whether a block device is a ublk disk, or a partition or a volume on it, through any number of layers.</summary>
    /// <param name="major">Major number of the block device.</param>
    /// <param name="minor">Minor number.</param>
    /// <param name="id">The ublk device.</param>
    public static bool IsOn(uint major, uint minor, int id)
    {
        // Numbers that are no block device's, such as those of a file system in memory, have no link.
        DirectoryInfo link = new($"/sys/dev/block/{major}:{minor}");
        return link.Exists && link.ResolveLinkTarget(returnFinalTarget: true) is DirectoryInfo device && IsOn(device, id);
    }

    // A partition's folder is in that of its disk.
    private static bool IsOn(DirectoryInfo device, int id)
    {
        DirectoryInfo disk = File.Exists($"{device}/partition") ? device.Parent! : device;
        DirectoryInfo slaves = new($"{disk}/slaves");
        return disk.Name == $"ublkb{id}"
            || (slaves.Exists && slaves.EnumerateDirectories().Any(slave =>
                slave.ResolveLinkTarget(returnFinalTarget: true) is DirectoryInfo below && IsOn(below, id)));
    }
}
