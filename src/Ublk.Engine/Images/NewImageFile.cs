using Ublk.Files;
using Ublk.Interop;

namespace Ublk.Images;

/// <summary>A file on its way to be an image: it has the image's name only when it is whole.</summary>
/// <remarks>
/// One that replaces another gets the owner, permissions and labels of that. Until then only its owner may use it. On a block device
/// the image is written in place; the device has no valid header until the image is whole.
/// </remarks>
internal sealed class NewImageFile : IDisposable
{
    private const int OthersRead = 0b000_100_100;

    // Where blkid(8) looks for all but the rarest signatures.
    private const int SignatureArea = 128 << 10;

    private readonly string _finalPath;
    private readonly bool _replace;
    private readonly NewFile? _file;

    /// <summary>Makes the file, empty.</summary>
    /// <param name="path">The image's name.</param>
    /// <param name="replace">Whether a file that has the name gives way to it.</param>
    /// <param name="temporaryName">The name in the same folder that it has until it is whole; null for a random one.</param>
    /// <exception cref="UblkException">
    /// It cannot be made; or the name is taken, by something that cannot or must not be replaced.
    /// </exception>
    public NewImageFile(string path, bool replace, string? temporaryName = null)
    {
        _finalPath = FollowLinks(path);
        _replace = replace;
        if (IsOnDevice(_finalPath))
        {
            Content = OpenDevice();
            return;
        }

        using DiskFile? old = OpenReplaced();
        string directory = Path.GetDirectoryName(_finalPath)!;
        if (!Directory.Exists(directory))
        {
            throw new UblkException(UblkError.PathNotFound, $"There is no folder {directory}.", Libc.ENOENT, "open");
        }

        int mode = Libc.OwnerReadWrite | (old is null ? OthersRead : 0);
        _file = Try(() => new NewFile(_finalPath, mode, temporaryName), "open", "Cannot create");
        try
        {
            // Once now, so that what cannot be is an error before the work.
            CopyAttributes(old);
            Content = DiskFile.Create(_finalPath, _file.Handle);
        }
        catch
        {
            _file.Dispose();
            throw;
        }
    }

    /// <summary>The file.</summary>
    public DiskFile Content { get; }

    /// <summary>Where an image of this name goes: where a link leads. The link stays one.</summary>
    public static string FollowLinks(string path)
    {
        FileInfo named = new(path);
        return named.LinkTarget is null ? path : named.ResolveLinkTarget(returnFinalTarget: true)!.FullName;
    }

    /// <summary>Whether a path leads to a block device.</summary>
    public static bool IsOnDevice(string path) => Libc.Statx(path, out Libc.StatxBuffer state) == 0 && state.IsBlockDevice;

    /// <summary>Makes the file durable and gives it the image's name.</summary>
    /// <exception cref="UblkException">It is not durable, or somebody else has taken the name.</exception>
    public void Finish()
    {
        Content.Flush();
        if (_file is null)
        {
            return;
        }

        using (DiskFile? old = OpenReplaced())
        {
            CopyAttributes(old);
        }

        Try(() => _file.Name(_replace), "rename", "Cannot name the new image");
        Try(_file.Flush, "fsync", "There may be no durable name");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Content.Dispose();
        _file?.Dispose();
    }

    // Without what another program would take for the header of an image or a file system.
    private DiskFile OpenDevice()
    {
        if (!_replace)
        {
            throw new UblkException(UblkError.PathExists,
                $"{_finalPath} is a block device, whose content would be lost. Use -Force to replace it.", Libc.EEXIST, "open");
        }

        DiskFile device = DiskFile.OpenForWriting(_finalPath);
        try
        {
            device.Write(new byte[(int)long.Min(device.Length, SignatureArea)], 0);
            device.Flush();
            return device;
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }

    // Not one that somebody works with.
    private DiskFile? OpenReplaced()
    {
        if (!Path.Exists(_finalPath))
        {
            return null;
        }

        if (!_replace)
        {
            throw Exists();
        }

        return Libc.Statx(_finalPath, out Libc.StatxBuffer state) == 0 && !state.IsRegular
            ? throw new UblkException(UblkError.InvalidBackingFile, $"{_finalPath} is not a regular file and cannot be replaced.")
            : DiskFile.OpenForWriting(_finalPath);
    }

    private void CopyAttributes(DiskFile? old)
    {
        int errno = old?.Handle is { } handle ? KeptAttributes.Copy(handle, _file!.Handle) : 0;
        if (errno != 0)
        {
            throw UblkException.FromErrno(errno, "chown",
                $"The new {_finalPath} cannot have the owner, permissions and labels of the old one. Remove that, or choose another name");
        }
    }

    private void Try(Action action, string operation, string what) => Try(() =>
    {
        action();
        return true;
    }, operation, what);

    private T Try<T>(Func<T> action, string operation, string what)
    {
        try
        {
            return action();
        }
        catch (IOException exception)
        {
            throw exception.HResult == Libc.EEXIST
                ? Exists()
                : UblkException.FromErrno(exception.HResult, operation, $"{what} {_finalPath}");
        }
    }

    private UblkException Exists() => new(
        UblkError.PathExists, $"There is a file {_finalPath}. Use -Force to replace it, or choose another name.", Libc.EEXIST, "open");
}
