using System.Globalization;

namespace Ublk.Devices;

/// <summary>Who stands on a disk or on one of its partitions.</summary>
internal static class DeviceUsers
{
    /// <summary>Where it is mounted, as this process sees it.</summary>
    public static IReadOnlyList<string> MountPoints(int id)
    {
        HashSet<string> numbers = [.. Disks(id).Select(disk => SysfsDisk.Read($"/sys/class/block/{disk}/dev") ?? "")];
        HashSet<string> nodes = [.. Disks(id).Select(disk => $"/dev/{disk}")];

        // id parent major:minor root mountpoint options [optional] - type source options (proc(5)). File systems of
        // several disks have a number of their own, so the source counts as well.
        return
        [
            .. ReadLines("/proc/self/mountinfo").Select(line => line.Split(' '))
                .Where(fields => numbers.Contains(fields[2]) || nodes.Contains(fields[Array.IndexOf(fields, "-") + 2]))
                .Select(fields => Unescape(fields[4])),
        ];
    }

    /// <summary>Devices on top of it, and swap areas in it.</summary>
    public static IReadOnlyList<string> Holders(int id)
    {
        HashSet<string> nodes = [.. Disks(id).Select(disk => $"/dev/{disk}")];
        IEnumerable<string> devices = Disks(id).SelectMany(disk => SysfsDisk.List($"/sys/class/block/{disk}/holders")).Select(name => $"/dev/{name}");
        IEnumerable<string> swaps = ReadLines("/proc/swaps").Select(line => line.Split(' ')[0]).Where(nodes.Contains)
            .Select(node => $"swap on {node}");
        return [.. devices, .. swaps];
    }

    /// <summary>What lies on top of it, as <c>mounted on /mnt</c> and <c>held by /dev/dm-0</c>.</summary>
    public static IReadOnlyList<string> Layers(int id) =>
    [
        .. MountPoints(id).Select(path => $"mounted on {path}"),
        .. Holders(id).Select(holder => $"held by {holder}"),
    ];

    /// <summary>Processes that have it open, as <c>fio (process 1234)</c>; only those the caller may look into.</summary>
    public static IReadOnlyList<string> Openers(int id)
    {
        HashSet<string> nodes = [.. Disks(id).Select(disk => $"/dev/{disk}")];
        return
        [
            .. Directory.EnumerateDirectories("/proc").Select(Path.GetFileName)
                .Where(name => int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out _))
                .Where(name => OpenFiles(name!).Any(nodes.Contains))
                .Select(name => $"{SysfsDisk.Read($"/proc/{name}/comm")} (process {name})"),
        ];
    }

    // The disk and its partitions; the folder of a disk holds one for each partition.
    private static IEnumerable<string> Disks(int id)
    {
        string disk = $"ublkb{id}";
        return SysfsDisk.List($"/sys/block/{disk}") is { Count: > 0 } names
            ? names.Where(name => name.StartsWith($"{disk}p", StringComparison.Ordinal)).Prepend(disk)
            : [];
    }

    private static IEnumerable<string> OpenFiles(string process) =>
        SysfsDisk.List($"/proc/{process}/fd").Select(file => LinkTarget($"/proc/{process}/fd/{file}"));

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

    private static IEnumerable<string> ReadLines(string path) => File.Exists(path) ? File.ReadLines(path) : [];

    // Blanks in a path are written as three octal digits after a backslash (proc(5)).
    private static string Unescape(string path)
    {
        string[] parts = path.Split('\\');
        return parts[0] + string.Concat(parts.Skip(1).Select(part => (char)Convert.ToInt32(part[..3], 8) + part[3..]));
    }
}
