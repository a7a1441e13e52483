using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Files;

/// <summary>Which file it is, whatever its path: the same inode of the same file system, or the same block device.</summary>
/// <param name="Inode">The inode; 0 for a block device.</param>
/// <param name="Major">Major number of the file system's device, or of the block device.</param>
/// <param name="Minor">Minor number.</param>
/// <param name="BirthTime">
/// When the file was made, in nanoseconds since 1970: an inode is used again once its file is removed. Null where the file system keeps
/// none, and in a record of an older version.
/// </param>
/// <param name="DiskSequence">
/// The number of a block device's disk, which no two disks have until the next boot (kernel 5.15): device numbers are used again. Null
/// where there is none.
/// </param>
internal readonly record struct FileIdentity(ulong Inode, uint Major, uint Minor, long? BirthTime = null, ulong? DiskSequence = null)
{
    /// <summary>Whether it is a block device.</summary>
    public bool IsBlockDevice => Inode == 0;

    /// <summary>The identity of an open file.</summary>
    /// <returns>Null where it cannot be looked at.</returns>
    public static FileIdentity? Of(SafeFileHandle file) => Libc.Statx(file, out Libc.StatxBuffer state) == 0 ? Of(state) : null;

    /// <summary>The identity of what a path leads to, links followed.</summary>
    /// <returns>Null where there is nothing.</returns>
    public static FileIdentity? Of(string? path) =>
        path is not null && Libc.Statx(path, out Libc.StatxBuffer state) == 0 ? Of(state) : null;

    /// <summary>Whether two paths lead to one file.</summary>
    /// <returns>False where one of them is null or does not exist.</returns>
    public static bool IsSame(string? one, string? other) => Of(one) is { } identity && identity == Of(other);

    /// <summary>Whether it can be the file of a record. What one of the two does not know is not compared.</summary>
    public bool Matches(FileIdentity recorded) =>
        (Inode, Major, Minor) == (recorded.Inode, recorded.Major, recorded.Minor)
        && (BirthTime is null || recorded.BirthTime is null || BirthTime == recorded.BirthTime)
        && (DiskSequence is null || recorded.DiskSequence is null || DiskSequence == recorded.DiskSequence);

    /// <summary>Whether a process has this file open.</summary>
    internal bool IsOpenIn(int processId)
    {
        try
        {
            FileIdentity wanted = this;
            return Directory.EnumerateFileSystemEntries($"/proc/{processId}/fd").Any(file => Of(file) == wanted);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>Whether the name by which a process opened this file is gone.</summary>
    /// <remarks>It looks at the process alone: a look at the file could wait for a file system that hangs.</remarks>
    /// <returns>Null where the process does not have the file open, or cannot be looked into, and for a block device.</returns>
    internal bool? IsDeletedIn(int processId)
    {
        try
        {
            // Not the links of /proc/PID/fd: to list those looks at what they lead to.
            string line = string.Create(CultureInfo.InvariantCulture, $"ino:\t{Inode}");
            foreach (string file in Inode == 0 ? [] : Directory.EnumerateFiles($"/proc/{processId}/fdinfo"))
            {
                // What is no file by a path, such as memory, may have the same inode.
                string? path = new FileInfo($"/proc/{processId}/fd/{Path.GetFileName(file)}").LinkTarget;
                bool isFile = path is ['/', ..] && !path.StartsWith("/memfd:", StringComparison.Ordinal);
                if (isFile && File.ReadLines(file).Contains(line))
                {
                    return path!.EndsWith(KernelFiles.DeletedMark, StringComparison.Ordinal);
                }
            }

            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static FileIdentity Of(in Libc.StatxBuffer state) => state.IsBlockDevice
        ? new(0, state.DeviceNodeMajor, state.DeviceNodeMinor, DiskSequence: SequenceOf(state.DeviceNodeMajor, state.DeviceNodeMinor))
        : new(state.Inode, state.DeviceMajor, state.DeviceMinor, state.HasBirthTime
            ? (state.BirthSeconds * 1_000_000_000) + state.BirthNanoseconds
            : null);

    // What BLKGETDISKSEQ says as well, but without opening the device, which may act or hang. A partition's folder is in its disk's.
    private static ulong? SequenceOf(uint major, uint minor)
    {
        string? folder = new DirectoryInfo($"/sys/dev/block/{major}:{minor}").ResolveLinkTarget(returnFinalTarget: false)?.FullName;
        string? text = folder is null
            ? null
            : KernelFiles.Read($"{folder}/diskseq") ?? KernelFiles.Read($"{Path.GetDirectoryName(folder)}/diskseq");
        return ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong sequence) ? sequence : null;
    }
}
