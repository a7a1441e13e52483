using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Targets.Qcow2;

/// <summary>Whether an image may lead to the file that it names.</summary>
/// <remarks>
/// Who can write an image decides what it names, and whoever opens it lends it his rights. So an image of another user leads only to what
/// is that user's own, and to what everybody can read.
/// </remarks>
internal static class ImageReference
{
    private const int OthersRead = 0x4;
    private const int OthersEnter = 0x1;

    /// <summary>Checks it.</summary>
    /// <param name="imagePath">The image's path.</param>
    /// <param name="image">The image, open; null where it is no file of the system's.</param>
    /// <param name="path">The path of the file that it names.</param>
    /// <param name="file">That file, open; null likewise.</param>
    /// <param name="isWritten">Whether the file will be written.</param>
    /// <exception cref="UblkException">It may not.</exception>
    public static void Check(string imagePath, SafeFileHandle? image, string path, SafeFileHandle? file, bool isWritten)
    {
        // A file that is none of the system's belongs to nobody.
        if (image is null || file is null)
        {
            return;
        }

        uint user = Libc.GetEffectiveUserId();
        uint owner = StateOf(imagePath, image).UserId;
        if (owner == 0 || owner == user)
        {
            return;
        }

        Libc.StatxBuffer state = StateOf(path, file);
        if (state.UserId != owner && (isWritten || !CanEverybodyRead(state, file)))
        {
            throw new UblkException(UblkError.PermissionDenied,
                $"{imagePath} belongs to user {owner} and leads to {path}, which is not his. If you know that it should, make the image yours: chown {user} '{imagePath}'",
                Libc.EPERM, "open");
        }
    }

    private static bool CanEverybodyRead(in Libc.StatxBuffer state, SafeFileHandle file)
    {
        if ((state.Mode & OthersRead) == 0)
        {
            return false;
        }

        // What the open file is called (proc(5)), with no link left in it.
        string? folder = Path.GetDirectoryName(File.ResolveLinkTarget($"/proc/self/fd/{file.DangerousGetHandle()}", returnFinalTarget: false)!.FullName);
        for (; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (Libc.Statx(folder, out Libc.StatxBuffer above) != 0 || (above.Mode & OthersEnter) == 0)
            {
                return false;
            }
        }

        return true;
    }

    private static Libc.StatxBuffer StateOf(string path, SafeFileHandle file)
    {
        int errno = Libc.Statx(file, out Libc.StatxBuffer state);
        return errno == 0 ? state : throw UblkException.FromErrno(errno, "statx", $"Cannot look at {path}");
    }
}
