using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Files;

/// <summary>A file that gets its name only when it is whole. Until then it lies in the same folder under a random name.</summary>
/// <remarks>
/// Others may write the folder. The random name is opened with O_EXCL and O_NOFOLLOW, so a link is never followed. The folder is held
/// open, so that both names are looked up in the same one.
/// </remarks>
internal sealed class NewFile : IDisposable
{
    private readonly SafeFileHandle _folder;
    private readonly string _name;
    private readonly string _temporaryName;
    private bool _isNamed;

    /// <summary>Makes the file, empty and open for writing.</summary>
    /// <param name="path">The name it will have.</param>
    /// <param name="mode">Its permissions, which the umask restricts.</param>
    /// <param name="temporaryName">The name in the same folder that it has until then; null for a random one.</param>
    /// <exception cref="IOException">It cannot be made.</exception>
    public NewFile(string path, int mode, string? temporaryName = null)
    {
        _temporaryName = temporaryName ?? RandomName();
        _name = Path.GetFileName(path);
        _folder = Require(Libc.Open(Path.GetDirectoryName(path) is { Length: > 0 } folder ? folder : ".", Libc.O_RDONLY));
        try
        {
            Handle = Require(Libc.OpenAt(_folder, _temporaryName, Libc.O_RDWR | Libc.O_CREAT | Libc.O_EXCL | Libc.O_NOFOLLOW, mode));
        }
        catch
        {
            _folder.Dispose();
            throw;
        }
    }

    /// <summary>The open file.</summary>
    public SafeFileHandle Handle { get; }

    /// <summary>A name for a file that is not whole.</summary>
    public static string RandomName() => $".ublk-{Guid.NewGuid():N}";

    /// <summary>Writes a file, or replaces one, as a whole and durably: readers see the former content or the new one.</summary>
    /// <param name="path">The file. Its folder is made where it is missing, for all users to read.</param>
    /// <param name="content">The whole content.</param>
    /// <param name="mode">Its permissions, whatever the umask.</param>
    /// <exception cref="IOException">It cannot be written.</exception>
    public static void Replace(string path, byte[] content, UnixFileMode mode)
    {
        PublicFolder.Create(Path.GetDirectoryName(path)!);
        using NewFile file = new(path, (int)mode);
        File.SetUnixFileMode(file.Handle, mode);
        RandomAccess.Write(file.Handle, content, 0);
        file.Flush();
        file.Name(replace: true);
        file.Flush();
    }

    /// <summary>Gives the file its name.</summary>
    /// <param name="replace">Whether a file that has the name is replaced; a link is replaced itself.</param>
    /// <exception cref="IOException">The name is taken, or the file system refuses.</exception>
    public void Name(bool replace)
    {
        int errno = Libc.Rename(_folder, _temporaryName, _name, replace ? 0 : Libc.RENAME_NOREPLACE);
        _isNamed = errno == 0 ? true : throw Error(errno);
    }

    /// <summary>Makes the file and its name durable.</summary>
    /// <exception cref="IOException">They may not be.</exception>
    public void Flush()
    {
        if (Libc.FSync(Handle) != 0 || Libc.FSync(_folder) != 0)
        {
            throw Error(Libc.LastErrno);
        }
    }

    /// <summary>Closes the file, and removes it if it has no name.</summary>
    public void Dispose()
    {
        if (!_isNamed)
        {
            _ = Libc.UnlinkAt(_folder, _temporaryName, 0);
        }

        Handle.Dispose();
        _folder.Dispose();
    }

    private static SafeFileHandle Require(SafeFileHandle file) => file.IsInvalid ? throw Error(Libc.LastErrno) : file;

    // As the framework's own exceptions: the errno is the result.
    private static IOException Error(int errno) => new($"{Libc.Describe(errno)}.", errno);
}
