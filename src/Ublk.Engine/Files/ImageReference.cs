using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Files;

/// <summary>Where the name of a file in an image leads, and whether the image may lead there.</summary>
/// <remarks>
/// The writer of an image decides which files it names, and they are opened with the rights of the reader. So an image of another user
/// leads only to what is that user's own, and to what everybody can read.
/// </remarks>
internal static class ImageReference
{
    private const int OthersRead = 0x4;
    private const int OthersEnter = 0x1;

    private const string FilePrefix = "file:";

    /// <summary>The path that a name leads to: it is relative to the image's folder.</summary>
    /// <remarks>
    /// As the kernel and qemu do it: what is before ".." may be a symbolic link, so that is taken out only where it leads to the same file.
    /// </remarks>
    /// <param name="imagePath">The image's path.</param>
    /// <param name="name">The name, as the header has it.</param>
    /// <exception cref="UblkException">It names no file of this machine.</exception>
    public static string Resolve(string imagePath, string name)
    {
        string file = name;
        if (name.StartsWith(FilePrefix, StringComparison.Ordinal))
        {
            file = name[FilePrefix.Length..];
        }
        else if (HasProtocol(name))
        {
            throw new UblkException(UblkError.NotSupported,
                $"{imagePath} refers to '{name}', which is not a path. Only files of this machine can be part of an image here.",
                    operation: "qcow2");
        }

        string joined = Path.Combine(Path.GetDirectoryName(Path.Combine(Environment.CurrentDirectory, imagePath))!, file);
        string plain = Path.GetFullPath(joined);
        return joined.Contains("..", StringComparison.Ordinal) && !FileIdentity.IsSame(joined, plain) ? joined : plain;
    }

    /// <summary>The name by which an image's header refers to a file.</summary>
    /// <remarks>It is relative to the image's folder, so that the two can be moved together.</remarks>
    /// <param name="imagePath">The image's path, in a folder that exists.</param>
    /// <param name="path">The file's path.</param>
    public static string RelativeName(string imagePath, string path)
    {
        // A name with ".." in it is looked up from where the folders really are.
        string name = Path.GetRelativePath(RealFolderOf(imagePath), Path.Combine(RealFolderOf(path), Path.GetFileName(path)));
        return HasProtocol(name) ? $"./{name}" : name;
    }

    // What has a colon before its first slash is a URL to qemu.
    private static bool HasProtocol(string name) =>
        name.AsSpan().IndexOf(':') is var colon and >= 0 && !name.AsSpan(0, colon).Contains('/');

    private static string RealFolderOf(string path)
    {
        string folder = Path.GetDirectoryName(path)!;
        return RealPath.Of(folder) ?? folder;
    }

    /// <summary>Checks whether an image may lead to a file.</summary>
    /// <param name="imagePath">The image's path.</param>
    /// <param name="image">The image, open; null where it is no file of the system's.</param>
    /// <param name="path">The path of the file that it names.</param>
    /// <param name="file">That file, open; null likewise.</param>
    /// <param name="isWritten">Whether the file will be written.</param>
    /// <exception cref="UblkException">It may not.</exception>
    public static void Check(string imagePath, SafeFileHandle? image, string path, SafeFileHandle? file, bool isWritten)
    {
        // A simulated file has no owner.
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
                $"{imagePath} belongs to user {owner} and leads to {path}, which belongs to someone else. If that is intended, make the "
                    + $"image yours: chown {user} '{imagePath}'",
                Libc.EPERM, "open");
        }
    }

    private static bool CanEverybodyRead(in Libc.StatxBuffer state, SafeFileHandle file)
    {
        if ((state.Mode & OthersRead) == 0)
        {
            return false;
        }

        string? folder = Path.GetDirectoryName(RealPath.Of(file));
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
