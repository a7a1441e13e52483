using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Devices;

/// <summary>Which file it is, whatever its path: the same inode of the same file system, or the same block device.</summary>
/// <param name="Inode">The inode; 0 for a block device.</param>
/// <param name="Major">Major number of the file system's device, or of the block device.</param>
/// <param name="Minor">Minor number.</param>
internal readonly record struct FileIdentity(ulong Inode, uint Major, uint Minor)
{
    /// <summary>The identity of an open file.</summary>
    /// <returns>Null where it cannot be looked at.</returns>
    public static FileIdentity? Of(SafeFileHandle file) => Libc.Statx(file, out Libc.StatxBuffer state) == 0 ? Of(state) : null;

    /// <summary>The identity of what a path leads to, links followed.</summary>
    /// <returns>Null where there is nothing.</returns>
    public static FileIdentity? Of(string? path) => path is not null && Libc.Statx(path, out Libc.StatxBuffer state) == 0 ? Of(state) : null;

    /// <summary>Whether two paths lead to one file.</summary>
    /// <returns>False where one of them is null or does not exist.</returns>
    public static bool IsSame(string? one, string? other) => Of(one) is { } identity && identity == Of(other);

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

    private static FileIdentity Of(in Libc.StatxBuffer state) => state.IsBlockDevice
        ? new(0, state.DeviceNodeMajor, state.DeviceNodeMinor)
        : new(state.Inode, state.DeviceMajor, state.DeviceMinor);
}
