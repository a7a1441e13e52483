using System.Globalization;
using Ublk.Files;
using Ublk.Processes;

namespace Ublk.Devices;

/// <summary>The users of a disk or one of its partitions. A disk that is gone may still have users; they are found by its name.</summary>
internal static class DeviceUsers
{
    /// <summary>Where it is mounted, as this process sees it.</summary>
    /// <param name="id">The device.</param>
    /// <param name="tables">The tables of the machine.</param>
    public static IReadOnlyList<string> MountPoints(int id, UserTables tables) => MountPoints(id, tables.Mounts);

    /// <summary>
    /// Devices on top of it, swap areas in it, and file systems of several disks that are mounted where this process sees no mount point.
    /// </summary>
    /// <param name="id">The device.</param>
    /// <param name="tables">The tables of the machine.</param>
    public static IReadOnlyList<string> Holders(int id, UserTables tables)
    {
        // A disk that is gone has no folder; those above it still name it.
        string[] disks = [.. Disks(id)];
        IEnumerable<string> devices = disks.Length > 0
            ? disks.SelectMany(disk => KernelFiles.List($"/sys/class/block/{disk}/holders"))
            : KernelFiles.List("/sys/block").Where(other => KernelFiles.List($"/sys/block/{other}/slaves").Any(disk => IsDisk(disk, id)));
        IEnumerable<string> swaps = tables.Swaps.Where(node => IsNode(node, id)).Select(node => $"swap on {node}");
        string[] fileSystems = [.. tables.DiskSets.Where(set => set.Disks.Any(disk => IsDisk(disk, id))).Select(set => set.Name)];
        return
        [
            .. devices.Select(name => $"/dev/{name}"),
            .. swaps,
            .. fileSystems.Length > 0 && MountPoints(id, tables).Count > 0 ? [] : fileSystems,
        ];
    }

    /// <summary>What lies on top of it, as <c>mounted on /mnt</c> and <c>held by /dev/dm-0</c>.</summary>
    public static IReadOnlyList<string> Layers(int id)
    {
        UserTables tables = new();
        return
        [
            .. MountPoints(id, tables).Select(path => $"mounted on {path}"),
            .. Holders(id, tables).Select(holder => $"held by {holder}"),
        ];
    }

    /// <summary>Processes that have it open, as <c>fio (process 1234)</c>; only those the caller may look into.</summary>
    public static IReadOnlyList<string> Openers(int id) =>
        [.. Processes().Where(process => OpenFiles(process).Any(node => IsNode(node, id))).Select(Describe)];

    /// <summary>
    /// A mount of it in another mount namespace than the caller's, as <c>mounted on /mnt in the namespace of sh (process 1234)</c>, or
    /// null.
    /// </summary>
    public static string? FindElsewhere(int id)
    {
        HashSet<string> seen = [KernelFiles.LinkTarget("/proc/self/ns/mnt"), ""];
        return Processes().Where(process => seen.Add(KernelFiles.LinkTarget($"/proc/{process}/ns/mnt")))
            .SelectMany(process => MountPoints(id, UserTables.MountsOf(process))
                .Select(path => $"mounted on {path} in the namespace of {Describe(process)}"))
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

    /// <summary>The name that the kernel gives the device of a node: what its links lead to, whether it is still there or not.</summary>
    internal static string NameOf(string path)
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

    private static IReadOnlyList<string> MountPoints(int id, IReadOnlyList<DiskMount> mounts)
    {
        string[] numbers = [.. Disks(id).Select(disk => KernelFiles.Read($"/sys/class/block/{disk}/dev")).OfType<string>()];
        return [.. mounts.Where(mount => mount.IsOn(id, numbers)).Select(mount => mount.Point)];
    }

    // The disk and its partitions; the folder of a disk holds one for each partition.
    private static IEnumerable<string> Disks(int id) => KernelFiles.List($"/sys/block/ublkb{id}") is { Count: > 0 } names
        ? names.Where(name => IsDisk(name, id)).Prepend($"ublkb{id}")
        : [];

    private static bool IsNode(string path, int id) => path.StartsWith('/') && IsDisk(NameOf(path), id);

    private static IEnumerable<string> Processes() => KernelFiles.List("/proc")
        .Where(name => int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out _));

    private static string Describe(string process) => $"{KernelFiles.Read($"/proc/{process}/comm")} (process {process})";

    private static IEnumerable<string> OpenFiles(string process) =>
        KernelFiles.List($"/proc/{process}/fd").Select(file => KernelFiles.LinkTarget($"/proc/{process}/fd/{file}"));
}
