using Ublk.Interop;

namespace Ublk.Devices;

/// <summary>Whether two paths lead to one file.</summary>
internal static class FileIdentity
{
    /// <summary>Compares what the paths lead to, links followed: the same inode of the same file system.</summary>
    /// <returns>False where one of them is null or does not exist.</returns>
    public static bool IsSame(string? one, string? other) =>
        one is not null && other is not null
        && Libc.Statx(one, out Libc.StatxBuffer first) == 0
        && Libc.Statx(other, out Libc.StatxBuffer second) == 0
        && (first.Inode, first.DeviceMajor, first.DeviceMinor) == (second.Inode, second.DeviceMajor, second.DeviceMinor);

    /// <summary>Whether a process has the file open that a path leads to now.</summary>
    internal static bool IsOpenIn(int processId, string path)
    {
        try
        {
            return Directory.EnumerateFileSystemEntries($"/proc/{processId}/fd").Any(file => IsSame(file, path));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
