using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Files;

/// <summary>A path that is to lead to a disk: a regular file or a block device.</summary>
internal static class DiskPath
{
    /// <summary>
    /// Takes hold of what a path leads to, links followed, without opening it: a pipe would make its opener wait, and a device may act.
    /// </summary>
    /// <remarks>
    /// What was looked at is then what <see cref="Libc.OpenHeld"/> opens, though somebody puts another file in its place meanwhile.
    /// </remarks>
    /// <param name="path">The path.</param>
    /// <param name="state">What is there.</param>
    /// <exception cref="UblkException">There is nothing, or no disk.</exception>
    public static SafeFileHandle Hold(string path, out Libc.StatxBuffer state)
    {
        state = default;
        SafeFileHandle held = Libc.Open(path, Libc.O_PATH);
        int errno = held.IsInvalid ? Libc.LastErrno : Libc.Statx(held, out state);
        if (errno == 0 && (state.IsBlockDevice || state.IsRegular))
        {
            return held;
        }

        held.Dispose();
        string kind = state.IsDirectory ? "a directory" : "neither a regular file nor a block device";
        throw errno switch
        {
            0 => new UblkException(UblkError.InvalidBackingFile, $"{path} is {kind}. Name a file that holds a disk, or a block device.",
                operation: "open"),
            Libc.ENOENT => new UblkException(UblkError.PathNotFound, $"There is no file {path}.", errno, "open"),
            _ => UblkException.FromErrno(errno, "open", $"Cannot open {path}"),
        };
    }
}
