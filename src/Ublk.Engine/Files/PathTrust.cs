using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Files;

/// <summary>Whether code may be loaded from a place: only root and the calling user may be able to create or change it.</summary>
internal static class PathTrust
{
    private const int OthersWrite = 0x02;
    private const int GroupWrites = 0x10;
    private const int Sticky = 0x200;

    /// <summary>Checks a file, its folder and every folder above.</summary>
    /// <param name="path">The file; links are followed.</param>
    /// <returns>Where the file really is.</returns>
    /// <exception cref="UblkException">The file does not exist, or others could have created or changed it.</exception>
    public static string Check(string path)
    {
        string file = RealPath(path);
        Check(file, file, mayBeShared: false);
        string? folder = Path.GetDirectoryName(file);
        for (bool isNearest = true; folder is not null; folder = Path.GetDirectoryName(folder), isNearest = false)
        {
            // In a sticky folder such as /tmp users cannot rename files of others, but anyone could put a library beside the assembly.
            Check(file, folder, mayBeShared: !isNearest);
        }

        return file;
    }

    private static void Check(string file, string place, bool mayBeShared)
    {
        int errno = Libc.Statx(place, out Libc.StatxBuffer state);
        if (errno != 0)
        {
            throw UblkException.FromErrno(errno, "statx", $"Cannot look at {place}");
        }

        uint user = Libc.GetEffectiveUserId();
        if (state.UserId != 0 && state.UserId != user)
        {
            throw Distrusted(file, $"{place} belongs to user {state.UserId}, and neither to root nor to you", "chown");
        }

        bool isGroups = (state.Mode & GroupWrites) != 0 && state.GroupId != 0 && state.GroupId != Libc.GetEffectiveGroupId();
        if (((state.Mode & OthersWrite) != 0 || isGroups) && !(mayBeShared && (state.Mode & Sticky) != 0))
        {
            throw Distrusted(file, $"other users can write to {place}", "chmod go-w");
        }
    }

    // What an open file is called (proc(5)), with no link left in it.
    private static string RealPath(string path)
    {
        using SafeFileHandle file = Libc.Open(path, Libc.O_RDONLY | Libc.O_NONBLOCK);
        if (file.IsInvalid)
        {
            int errno = Libc.LastErrno;
            throw errno == Libc.ENOENT
                ? new UblkException(UblkError.PathNotFound, $"There is no file {path}.", errno, "open")
                : UblkException.FromErrno(errno, "open", $"Cannot open {path}");
        }

        return File.ResolveLinkTarget($"/proc/self/fd/{file.DangerousGetHandle()}", returnFinalTarget: false)!.FullName;
    }

    private static UblkException Distrusted(string file, string why, string remedy) => new(UblkError.PluginNotTrusted,
        $"{file} is not loaded: {why}, so the code is not trusted. Move it to a folder of your own, or use {remedy}.", Libc.EPERM,
            "load");
}
