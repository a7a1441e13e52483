using System.Globalization;
using Ublk.Files;

namespace Ublk.Processes;

/// <summary>A line of a mount table (proc(5), mountinfo).</summary>
/// <param name="Id">The mount's id.</param>
/// <param name="ParentId">The id of the mount that it is on.</param>
/// <param name="DeviceNumber">
/// Major and minor number of the file system, as <c>259:0</c>. One of several disks has a number of its own.
/// </param>
/// <param name="Point">Where it is mounted, as <see cref="Interop.RawText"/> has it.</param>
/// <param name="IsShared">Whether what is mounted on it, or unmounted, is so in copies of it as well.</param>
/// <param name="Source">What was mounted: the device, or what else the file system calls it.</param>
/// <param name="Options">The file system's own options.</param>
internal sealed record MountTable(int Id, int ParentId, string DeviceNumber, string Point, bool IsShared, string Source, string Options)
{
    /// <summary>The mounts that a process sees.</summary>
    /// <param name="process">The process, or a thread, as /proc calls it.</param>
    /// <returns>None where it cannot be looked into.</returns>
    public static IReadOnlyList<MountTable> Of(string process)
    {
        try
        {
            return [.. KernelFiles.Lines($"/proc/{process}/mountinfo").Select(Parse)];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>Whether a copy of these mounts would keep some that are unmounted here: those on a mount that is not shared.</summary>
    public static bool HasUnfollowed(IReadOnlyList<MountTable> mounts)
    {
        HashSet<int> unshared = [.. mounts.Where(mount => !mount.IsShared).Select(mount => mount.Id)];
        return mounts.Any(mount => unshared.Contains(mount.ParentId));
    }

    /// <summary>Reads a line: id parent major:minor root point options [optional] - type source options.</summary>
    /// <param name="line">The line, each character a byte.</param>
    internal static MountTable Parse(string line)
    {
        string[] fields = line.Split(' ');
        int end = Array.IndexOf(fields, "-");
        return new MountTable(
            Number(fields[0]), Number(fields[1]), fields[2], KernelFiles.Unescape(fields[4]),
            fields[6..end].Any(field => field.StartsWith("shared:", StringComparison.Ordinal)),
            KernelFiles.Unescape(fields[end + 2]), KernelFiles.Unescape(fields[end + 3]));
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
