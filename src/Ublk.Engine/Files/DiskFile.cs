using Microsoft.Win32.SafeHandles;
using Ublk.Interop;

namespace Ublk.Files;

/// <summary>An image's file, open and locked; its reads and writes are whole and may come from any thread.</summary>
internal class DiskFile : IReadableFile, IDisposable
{
    private readonly SafeFileHandle _handle;

    /// <summary>For a file that is no file of the system's.</summary>
    /// <param name="path">What it is called.</param>
    protected DiskFile(string path)
        : this(path, new SafeFileHandle(-1, ownsHandle: false))
    {
    }

    private DiskFile(string path, SafeFileHandle handle)
    {
        Path = path;
        _handle = handle;
    }

    /// <summary>The path it was opened by.</summary>
    public string Path { get; }

    /// <summary>The open file; null for a file that is not the operating system's, such as a simulated one.</summary>
    public SafeFileHandle? Handle => _handle.IsInvalid ? null : _handle;

    /// <summary>Its length in bytes now.</summary>
    public virtual long Length => Libc.LSeek(_handle, 0, Libc.SEEK_END);

    /// <summary>What it takes of its file system, in bytes.</summary>
    public long AllocatedLength => (long)State().Blocks * 512;

    /// <summary>Whether it is a block device and no regular file.</summary>
    public virtual bool IsBlockDevice => State().IsBlockDevice;

    /// <summary>Opens a file for reading without a lock.</summary>
    /// <exception cref="UblkException">The file does not exist, has the wrong type, or cannot be read.</exception>
    public static DiskFile Open(string path) => Open(path, Libc.O_RDONLY);

    /// <summary>Opens a file for reading with a shared lock, which bars writers.</summary>
    /// <exception cref="UblkException">As for <see cref="Open(string)"/>; or somebody writes to it.</exception>
    public static DiskFile OpenForReading(string path) => Locked(Open(path, Libc.O_RDONLY), FileLock.TryShare);

    /// <summary>Opens a file for writing with an exclusive lock.</summary>
    /// <exception cref="UblkException">As for <see cref="Open(string)"/>; or somebody has it, or it cannot be written.</exception>
    public static DiskFile OpenForWriting(string path) =>
        Locked(Open(path, Libc.O_RDWR), FileLock.TryOwn);

    /// <summary>A new, empty file, locked.</summary>
    /// <param name="path">What it will be called.</param>
    /// <param name="handle">The file, open for writing; owned by this object.</param>
    /// <exception cref="UblkException">Somebody has it.</exception>
    public static DiskFile Create(string path, SafeFileHandle handle) => Locked(new DiskFile(path, handle), FileLock.TryOwn);

    /// <summary>Whether somebody has the file locked in a way that bars changing it.</summary>
    public bool IsInUse() => Libc.IsLockedAgainst(_handle, Libc.F_WRLCK, 0, 0);

    /// <summary>Fills a buffer; beyond the end of the file with zeroes.</summary>
    /// <exception cref="UblkException">The file cannot be read there.</exception>
    public virtual unsafe void Read(Span<byte> buffer, long offset)
    {
        fixed (byte* start = buffer)
        {
            for (int done = 0; done < buffer.Length;)
            {
                nint read = Libc.PRead(_handle, start + done, buffer.Length - done, offset + done);
                if (read < 0 && Libc.LastErrno != Libc.EINTR)
                {
                    throw UblkException.FromErrno(Libc.LastErrno, "pread", $"Cannot read {Path} at {offset + done}");
                }

                if (read == 0)
                {
                    buffer[done..].Clear();
                    return;
                }

                done += int.Max(0, (int)read);
            }
        }
    }

    /// <summary>Writes a buffer.</summary>
    /// <exception cref="UblkException">The file cannot be written there.</exception>
    public virtual unsafe void Write(ReadOnlySpan<byte> buffer, long offset)
    {
        fixed (byte* start = buffer)
        {
            for (int done = 0; done < buffer.Length;)
            {
                nint written = Libc.PWrite((int)_handle.DangerousGetHandle(), (nint)(start + done), buffer.Length - done, offset + done);
                if (written < 0 && Libc.LastErrno != Libc.EINTR)
                {
                    throw UblkException.FromErrno(Libc.LastErrno, "pwrite", $"Cannot write {Path} at {offset + done}");
                }

                done += int.Max(0, (int)written);
            }
        }
    }

    /// <summary>Makes the file longer or shorter. A block device stays as it is, and must be long enough.</summary>
    /// <exception cref="UblkException">It cannot have this length.</exception>
    public virtual void SetLength(long length)
    {
        if (!IsBlockDevice)
        {
            Check(Libc.FTruncate(_handle, length), "ftruncate", $"{Path} cannot have {length} bytes");
        }
        else if (length > Length)
        {
            throw UblkException.FromErrno(Libc.ENOSPC, "resize", $"{Path} is a block device of {Length} bytes and cannot have {length}");
        }
    }

    /// <summary>Has the file system set room aside for a range.</summary>
    /// <exception cref="UblkException">There is not enough, or the file system does not support it.</exception>
    public void Allocate(long offset, long length)
    {
        if (length > 0)
        {
            Check(Libc.FAllocate(_handle, 0, offset, length), "fallocate", $"Cannot set {length} bytes aside for {Path}");
        }
    }

    /// <summary>Gives a range back to the file system, where that takes it: it reads as zeroes then.</summary>
    /// <returns>Whether it took it.</returns>
    public virtual bool TryPunchHole(long offset, long length) =>
        length == 0 || Libc.FAllocate(_handle, Libc.FALLOC_FL_PUNCH_HOLE | Libc.FALLOC_FL_KEEP_SIZE, offset, length) == 0;

    /// <summary>Whether a <see cref="Flush"/> failed: what is read may not be what is on the disk then, and stays so.</summary>
    public bool HasLostWrites { get; private set; }

    /// <summary>Makes all that was written durable.</summary>
    /// <exception cref="UblkException">It is not.</exception>
    public void Flush()
    {
        int errno = Sync();
        if (errno != 0)
        {
            HasLostWrites = true;
            throw UblkException.FromErrno(errno, "fsync", $"Cannot write {Path} to its disk");
        }
    }

    /// <summary>From an offset on, where the next data begins and where it ends; the file's length for both where there is none.</summary>
    /// <remarks>A file system without holes reports all as data.</remarks>
    public (long Start, long End) NextData(long offset)
    {
        long length = Length;
        long start = Libc.LSeek(_handle, offset, Libc.SEEK_DATA);
        if (start < 0)
        {
            return Libc.LastErrno == Libc.ENXIO ? (length, length) : (offset, length);
        }

        long end = Libc.LSeek(_handle, start, Libc.SEEK_HOLE);
        return (start, end < 0 ? length : long.Min(end, length));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        FileLock.Release(_handle);
        _handle.Dispose();
    }

    /// <summary>fsync(2).</summary>
    /// <returns>0 or the errno.</returns>
    protected virtual int Sync() => Libc.FSync(_handle) == 0 ? 0 : Libc.LastErrno;

    private static DiskFile Open(string path, int flags)
    {
        using SafeFileHandle held = DiskPath.Hold(path, out _);
        SafeFileHandle handle = Libc.OpenHeld(held, flags);
        return handle.IsInvalid ? throw UblkException.FromErrno(Libc.LastErrno, "open", $"Cannot open {path}") : new DiskFile(path, handle);
    }

    private static DiskFile Locked(DiskFile file, Func<SafeFileHandle, bool> tryLock)
    {
        if (tryLock(file._handle))
        {
            return file;
        }

        file.Dispose();
        throw new UblkException(UblkError.BackingFileInUse,
            $"{file.Path} is in use by a device or another program. Remove the device, or end the program, first.", Libc.EAGAIN, "lock");
    }

    private static void Check(int result, string operation, string what)
    {
        if (result != 0)
        {
            throw UblkException.FromErrno(Libc.LastErrno, operation, what);
        }
    }

    private Libc.StatxBuffer State()
    {
        int errno = Libc.Statx(_handle, out Libc.StatxBuffer state);
        return errno == 0 ? state : throw UblkException.FromErrno(errno, "statx", $"Cannot look at {Path}");
    }
}
