using Ublk.Processes;

namespace Ublk.Devices;

/// <summary>A mount, and the disks that it uses.</summary>
/// <param name="Point">Where it is mounted.</param>
/// <param name="DeviceNumber">Major and minor number of the file system.</param>
/// <param name="Disks">
/// The kernel's names of the disks: its source, the members of a set of disks, and a log, which is among the options.
/// </param>
internal sealed record DiskMount(string Point, string DeviceNumber, IReadOnlyList<string> Disks)
{
    /// <summary>The mount of a line of the table.</summary>
    /// <param name="mount">The line.</param>
    /// <param name="sets">The file systems on several disks.</param>
    public static DiskMount Of(MountTable mount, IReadOnlyCollection<DiskSet> sets)
    {
        // bcachefs names all its disks, with colons between them.
        string[] sources = [.. mount.Source.Split(':').Append(mount.Source).Select(DeviceUsers.NameOf)];
        IEnumerable<string> logs = mount.Options.Split(',')
            .Select(option => DeviceUsers.NameOf(option[(option.IndexOf('=', StringComparison.Ordinal) + 1)..]));
        IEnumerable<string> members = sets.Where(set => sources.Any(set.Disks.Contains)).SelectMany(set => set.Disks);
        return new DiskMount(mount.Point, mount.DeviceNumber, [.. sources.Concat(logs).Concat(members).Where(name => name.Length > 0)]);
    }

    /// <summary>Whether it uses a disk.</summary>
    /// <param name="id">The device.</param>
    /// <param name="numbers">The device numbers of the disk and its partitions.</param>
    public bool IsOn(int id, IReadOnlyCollection<string> numbers) =>
        numbers.Contains(DeviceNumber) || Disks.Any(name => DeviceUsers.IsDisk(name, id));
}
