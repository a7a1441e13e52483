using Ublk.Interop;

namespace Ublk.Images;

/// <summary>A file on its way to be an image: it has the image's name only when it is whole.</summary>
/// <remarks>Until then it lies beside it under a name of its own, and goes when it is not finished.</remarks>
internal sealed class NewImageFile : IDisposable
{
    private readonly string _finalPath;
    private readonly bool _replace;
    private readonly string _temporaryPath;
    private bool _isFinished;

    /// <summary>Makes the file, empty.</summary>
    /// <param name="path">The image's name.</param>
    /// <param name="replace">Whether a file that has the name gives way to it.</param>
    /// <exception cref="UblkException">It cannot be made; or the name is taken, by something that cannot or must not be replaced.</exception>
    public NewImageFile(string path, bool replace)
    {
        // Where a link leads, the image goes: the link stays one.
        FileInfo named = new(path);
        _finalPath = named.LinkTarget is null ? path : named.ResolveLinkTarget(returnFinalTarget: true)!.FullName;
        _replace = replace;
        RequireFree();
        string directory = Path.GetDirectoryName(_finalPath)!;
        if (!Directory.Exists(directory))
        {
            throw new UblkException(UblkError.PathNotFound, $"There is no folder {directory}.", Libc.ENOENT, "open");
        }

        _temporaryPath = Path.Combine(directory, $".ublk-{Guid.NewGuid():N}");
        Content = DiskFile.Create(_temporaryPath);
    }

    /// <summary>The file.</summary>
    public DiskFile Content { get; }

    /// <summary>Makes the file durable and gives it the image's name.</summary>
    /// <exception cref="UblkException">It is not durable, or somebody else has taken the name.</exception>
    public void Finish()
    {
        Content.Flush();
        RequireFree();
        int errno = Libc.Rename(_temporaryPath, _finalPath, _replace ? 0 : Libc.RENAME_NOREPLACE);
        if (errno == Libc.EINVAL && !_replace)
        {
            // A file system without that check: the name was free a moment ago.
            errno = Libc.Rename(_temporaryPath, _finalPath, 0);
        }

        switch (errno)
        {
            case 0:
                _isFinished = true;
                FlushDirectory();
                break;
            case Libc.EEXIST:
                throw Exists();
            default:
                throw UblkException.FromErrno(errno, "rename", $"Cannot name the new image {_finalPath}");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_isFinished)
        {
            File.Delete(_temporaryPath);
        }

        Content.Dispose();
    }

    private void RequireFree()
    {
        if (!Path.Exists(_finalPath))
        {
            return;
        }

        if (!_replace)
        {
            throw Exists();
        }

        if (Libc.Statx(_finalPath, out Libc.StatxBuffer state) == 0 && !state.IsRegular)
        {
            throw new UblkException(UblkError.InvalidBackingFile, $"{_finalPath} is no regular file, so no image takes its place.");
        }

        // Not one that somebody works with.
        DiskFile.OpenForWriting(_finalPath).Dispose();
    }

    private void FlushDirectory()
    {
        using var directory = Libc.Open(Path.GetDirectoryName(_finalPath)!, Libc.O_RDONLY);
        if (directory.IsInvalid || Libc.FSync(directory) != 0)
        {
            throw UblkException.FromErrno(Libc.LastErrno, "fsync", $"The name of {_finalPath} may not be durable");
        }
    }

    private UblkException Exists() => new(
        UblkError.PathExists, $"There is a file {_finalPath}. Use -Force to replace it, or choose another name.", Libc.EEXIST, "open");
}
