using System.Globalization;
using Ublk.Files;
using Ublk.Processes;

namespace Ublk.Devices;

/// <summary>The users of a disk or one of its partitions. A disk that is gone may still have users; they are found by its name.</summary>
internal static class DeviceUsers
{
    /// <summary>Where it is mounted, as this process sees it.</summary>
    public static IReadOnlyList<string> MountPoints(int id) => MountPoints(id, MountTable.Of("self"));

    /// <summary>
    /// Devices on top of it, swap areas in it, and file systems of several disks that are mounted where this process sees no mount point.
    /// </summary>
    public static IReadOnlyList<string> Holders(int id)
    {
        // A disk that is gone has no folder; those above it still name it.
        string[] disks = [.. Disks(id)];
        IEnumerable<string> devices = disks.Length > 0
            ? disks.SelectMany(disk => KernelFiles.List($"/sys/class/block/{disk}/holders"))
            : KernelFiles.List("/sys/block").Where(other => KernelFiles.List($"/sys/block/{other}/slaves").Any(disk => IsDisk(disk, id)));
        IEnumerable<string> swaps = Swaps().Select(line => KernelFiles.Unescape(line.Split(' ', '\t')[0]))
            .Where(node => IsNode(node, id)).Select(node => $"swap on {node}");
        string[] fileSystems = [.. DiskSets().Where(set => set.Disks.Any(disk => IsDisk(disk, id))).Select(set => set.Name)];
        return
        [
            .. devices.Select(name => $"/dev/{name}"),
            .. swaps,
            .. fileSystems.Length > 0 && MountPoints(id).Count > 0 ? [] : fileSystems,
        ];
    }

    /// <summary>What lies on top of it, as <c>mounted on /mnt</c> and <c>held by /dev/dm-0</c>.</summary>
    public static IReadOnlyList<string> Layers(int id) =>
    [
        .. MountPoints(id).Select(path => $"mounted on {path}"),
        .. Holders(id).Select(holder => $"held by {holder}"),
    ];

    /// <summary>Processes that have it open, as <c>fio (process 1234)</c>; only those the caller may look into.</summary>
    public static IReadOnlyList<string> Openers(int id) =>
        [.. Processes().Where(process => OpenFiles(process).Any(node => IsNode(node, id))).Select(Describe)];

    /// <summary>
    /// A mount of it in another mount namespace than the caller's, as <c>mounted on /mnt in the namespace of sh (process 1234)</c>, or
    /// null.
    /// </summary>
    public static string? FindElsewhere(int id)
    {
        HashSet<string> seen = [LinkTarget("/proc/self/ns/mnt"), ""];
        return Processes().Where(process => seen.Add(LinkTarget($"/proc/{process}/ns/mnt")))
            .SelectMany(process =>
                MountPoints(id, MountTable.Of(process)).Select(path => $"mounted on {path} in the namespace of {Describe(process)}"))
            .FirstOrDefault();
    }

    /// <summary>All of them in one sentence's end; null where none can be seen.</summary>
    public static string? Find(int id)
    {
        IReadOnlyList<string> users = [.. Layers(id), .. Openers(id).Select(process => $"open in {process}")];
        return users.Count > 0 ? string.Join(", ", users) : null;
    }

    /// <summary>Whether a name is that of the disk or of one of its partitions.</summary>
    internal static bool IsDisk(string name, int id)
    {
        string disk = $"ublkb{id}";
        return name == disk || (name.StartsWith($"{disk}p", StringComparison.Ordinal)
            && int.TryParse(name.AsSpan(disk.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out _));
    }

    /// <summary>
    /// Whether a mount uses the disk: as its source, as a member of a set of disks, or for a log, which is among the options.
    /// </summary>
    internal static bool IsOn(MountTable mount, int id, IReadOnlyCollection<string> numbers, IReadOnlyCollection<DiskSet> sets)
    {
        // bcachefs names all its disks, with colons between them.
        string[] sources = [.. mount.Source.Split(':'), mount.Source];
        return numbers.Contains(mount.DeviceNumber)
            || sources.Any(source => IsNode(source, id))
            || mount.Options.Split(',').Any(option => IsNode(option[(option.IndexOf('=', StringComparison.Ordinal) + 1)..], id))
            || sets.Any(set => set.Disks.Any(disk => IsDisk(disk, id)) && sources.Any(source => set.Disks.Contains(NameOf(source))));
    }

    private static IReadOnlyList<string> MountPoints(int id, IReadOnlyList<MountTable> mounts)
    {
        string[] numbers = [.. Disks(id).Select(disk => KernelFiles.Read($"/sys/class/block/{disk}/dev")).OfType<string>()];
        DiskSet[] sets = [.. DiskSets()];
        return [.. mounts.Where(mount => IsOn(mount, id, numbers, sets)).Select(mount => mount.Point)];
    }

    // The disk and its partitions; the folder of a disk holds one for each partition.
    private static IEnumerable<string> Disks(int id) => KernelFiles.List($"/sys/block/ublkb{id}") is { Count: > 0 } names
        ? names.Where(name => IsDisk(name, id)).Prepend($"ublkb{id}")
        : [];

    // Mounted file systems that have several disks, with the disks' names.
    private static IEnumerable<DiskSet> DiskSets() =>
    [
        .. KernelFiles.List("/sys/fs/btrfs")
            .Select(uuid => new DiskSet($"btrfs {uuid}", KernelFiles.List($"/sys/fs/btrfs/{uuid}/devices"))),
        .. KernelFiles.List("/sys/fs/bcachefs").Select(uuid => new DiskSet($"bcachefs {uuid}",
            [.. KernelFiles.List($"/sys/fs/bcachefs/{uuid}")
                .Select(disk => Path.GetFileName(LinkTarget($"/sys/fs/bcachefs/{uuid}/{disk}/block")))])),
    ];

    private static bool IsNode(string path, int id) => path.StartsWith('/') && IsDisk(NameOf(path), id);

    // The name that the kernel gives the device of a node: what its links lead to, whether it is still there or not.
    private static string NameOf(string path)
    {
        string node = path.EndsWith(KernelFiles.DeletedMark, StringComparison.Ordinal) ? path[..^KernelFiles.DeletedMark.Length] : path;
        const string folder = "/dev/";
        if (!node.StartsWith(folder, StringComparison.Ordinal))
        {
            return "";
        }

        // What lies in a folder below may be a link.
        string name = node[folder.Length..];
        if (!name.Contains('/', StringComparison.Ordinal))
        {
            return name;
        }

        try
        {
            return Path.GetFileName(new FileInfo(node).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? node);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return Path.GetFileName(node);
        }
    }

    private static IEnumerable<string> Processes() => KernelFiles.List("/proc")
        .Where(name => int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out _));

    private static string Describe(string process) => $"{KernelFiles.Read($"/proc/{process}/comm")} (process {process})";

    private static IEnumerable<string> OpenFiles(string process) =>
        KernelFiles.List($"/proc/{process}/fd").Select(file => LinkTarget($"/proc/{process}/fd/{file}"));

    private static string LinkTarget(string path)
    {
        try
        {
            return new FileInfo(path).LinkTarget ?? "";
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private static string[] Swaps() => File.Exists("/proc/swaps") ? KernelFiles.Lines("/proc/swaps") : [];

    /// <summary>A file system on several disks.</summary>
    /// <param name="Name">What it is called.</param>
    /// <param name="Disks">The kernel's names of its disks.</param>
    internal sealed record DiskSet(string Name, IReadOnlyList<string> Disks);
}
