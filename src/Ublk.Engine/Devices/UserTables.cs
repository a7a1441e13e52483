using Ublk.Files;
using Ublk.Processes;

namespace Ublk.Devices;

/// <summary>
/// The tables of the machine that name users of disks. Each is read once, when it is first needed, for any number of disks.
/// </summary>
internal sealed class UserTables
{
    private readonly Dictionary<uint, string> _owners = [];

    /// <summary>The mounts that this process sees.</summary>
    public IReadOnlyList<DiskMount> Mounts => field ??= MountsOf("self", DiskSets);

    /// <summary>The nodes and files with swap areas.</summary>
    public IReadOnlyList<string> Swaps => field ??= File.Exists("/proc/swaps")
        ? [.. KernelFiles.Lines("/proc/swaps").Select(line => KernelFiles.Unescape(line.Split(' ', '\t')[0]))]
        : [];

    /// <summary>Mounted file systems that have several disks.</summary>
    public IReadOnlyList<DiskSet> DiskSets => field ??=
    [
        .. KernelFiles.List("/sys/fs/btrfs")
            .Select(uuid => new DiskSet($"btrfs {uuid}", KernelFiles.List($"/sys/fs/btrfs/{uuid}/devices"))),
        .. KernelFiles.List("/sys/fs/bcachefs").Select(uuid => new DiskSet($"bcachefs {uuid}",
            [.. KernelFiles.List($"/sys/fs/bcachefs/{uuid}")
                .Select(disk => Path.GetFileName(KernelFiles.LinkTarget($"/sys/fs/bcachefs/{uuid}/{disk}/block")))])),
    ];

    /// <summary>The name of a user, or the number.</summary>
    public string OwnerName(uint userId)
    {
        if (!_owners.TryGetValue(userId, out string? name))
        {
            _owners[userId] = name = UserNames.Find(userId);
        }

        return name;
    }

    /// <summary>The mounts that another process sees.</summary>
    /// <param name="process">The process.</param>
    public static IReadOnlyList<DiskMount> MountsOf(string process) => MountsOf(process, new UserTables().DiskSets);

    private static IReadOnlyList<DiskMount> MountsOf(string process, IReadOnlyList<DiskSet> sets) =>
        [.. MountTable.Of(process).Select(mount => DiskMount.Of(mount, sets))];
}

/// <summary>A file system on several disks.</summary>
/// <param name="Name">What it is called.</param>
/// <param name="Disks">The kernel's names of its disks.</param>
internal sealed record DiskSet(string Name, IReadOnlyList<string> Disks);
