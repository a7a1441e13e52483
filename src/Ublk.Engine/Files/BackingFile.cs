using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Files;

/// <summary>The regular file or block device behind a loop disk, open and locked.</summary>
internal sealed class BackingFile : IDisposable
{
    private readonly AsyncMutex _syncing = new();
    private readonly int _fd;
    private int _failure;

    private BackingFile(string path, SafeFileHandle handle, bool readOnly, bool direct)
    {
        Path = path;
        Handle = handle;
        IsDirect = direct;
        _fd = (int)handle.DangerousGetHandle();
        int errno = Libc.Statx(handle, out Libc.StatxBuffer state);
        if (errno != 0)
        {
            throw UblkException.FromErrno(errno, "statx", $"Cannot look at {path}");
        }

        IsBlockDevice = state.IsBlockDevice;
        ReadOnly = readOnly || (IsBlockDevice && BlockDeviceIoctl.IsReadOnly(this));
        Length = IsBlockDevice ? BlockDeviceIoctl.GetSize(this) : (long)state.Size;
        State = state;
        IsInMemory = !IsBlockDevice && Libc.FileSystemOf(handle) == Libc.TMPFS_MAGIC;
    }

    /// <summary>The path as it was given.</summary>
    public string Path { get; }

    /// <summary>The open file.</summary>
    public SafeFileHandle Handle { get; }

    /// <summary>Whether it is open for reading alone, or is a block device that refuses writes.</summary>
    public bool ReadOnly { get; }

    /// <summary>Whether it is open for direct I/O, which passes by the page cache.</summary>
    public bool IsDirect { get; }

    /// <summary>Whether it is a block device and no regular file.</summary>
    public bool IsBlockDevice { get; }

    /// <summary>Whether the file's data is in memory and nowhere else.</summary>
    public bool IsInMemory { get; }

    /// <summary>Its length in bytes.</summary>
    public long Length { get; }

    /// <summary>The file's state by statx(2).</summary>
    public Libc.StatxBuffer State { get; }

    /// <summary>Opens a file, for writing where wanted and possible.</summary>
    /// <param name="path">The file; links are followed.</param>
    /// <param name="readOnly">Whether to open it for reading alone.</param>
    /// <param name="direct">Whether to pass by the page cache (O_DIRECT).</param>
    /// <param name="force">Whether to open it although another device or program has it.</param>
    /// <returns>The file; null where the file system has no direct I/O.</returns>
    /// <exception cref="UblkException">There is no such file, it is of a wrong kind, in use, or cannot be read.</exception>
    public static BackingFile? TryOpen(string path, bool readOnly, bool direct, bool force)
    {
        using SafeFileHandle held = DiskPath.Hold(path, out Libc.StatxBuffer found);
        int flags = direct ? Libc.O_DIRECT : 0;

        // A block device opened exclusively cannot be one that is mounted or in another layer's hands.
        int exclusive = found.IsBlockDevice && !readOnly && !force ? Libc.O_EXCL : 0;
        SafeFileHandle handle = Libc.OpenHeld(held, flags | exclusive | (readOnly ? Libc.O_RDONLY : Libc.O_RDWR));
        int errno = handle.IsInvalid ? Libc.LastErrno : 0;
        if (!readOnly && errno is Libc.EACCES or Libc.EPERM or Libc.EROFS or Libc.ETXTBSY)
        {
            readOnly = true;
            handle = Libc.OpenHeld(held, flags | Libc.O_RDONLY);
            errno = handle.IsInvalid ? Libc.LastErrno : 0;
        }

        if (errno != 0)
        {
            return direct && errno == Libc.EINVAL ? null : throw OpenError(errno, path);
        }

        try
        {
            BackingFile file = new(path, handle, readOnly, direct);
            file.Lock(force);
            return file;
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Makes a file that is in memory alone and has no name.</summary>
    /// <param name="length">Its length in bytes; what was not written takes no memory.</param>
    /// <exception cref="UblkException">The kernel refuses it.</exception>
    public static BackingFile CreateInMemory(long length)
    {
        int fd = Libc.MemFdCreate("ublk", Libc.MFD_CLOEXEC);
        if (fd < 0)
        {
            throw UblkException.FromErrno(Libc.LastErrno, "memfd_create", "Cannot make a file in memory");
        }

        SafeFileHandle handle = new(fd, ownsHandle: true);
        if (Libc.FTruncate(handle, length) != 0)
        {
            int errno = Libc.LastErrno;
            handle.Dispose();
            throw UblkException.FromErrno(errno, "ftruncate", $"A file in memory cannot have {length} bytes");
        }

        return new BackingFile("memory", handle, readOnly: false, direct: false);
    }

    /// <summary>Reads on the calling thread (pread(2)).</summary>
    /// <returns>Bytes read, or a negative errno.</returns>
    public int Read(IoBuffer buffer, long position)
    {
        nint read = Libc.PRead(_fd, buffer.Address, buffer.Length, position);
        return read < 0 ? -Libc.LastErrno : (int)read;
    }

    /// <summary>Writes on the calling thread (pwrite(2)).</summary>
    /// <returns>Bytes written, or a negative errno.</returns>
    public int Write(IoBuffer buffer, long position)
    {
        nint written = Libc.PWrite(_fd, buffer.Address, buffer.Length, position);
        return written < 0 ? -Libc.LastErrno : (int)written;
    }

    /// <summary>Makes all that was written durable (fdatasync(2)).</summary>
    /// <remarks>
    /// The kernel reports data that the page cache lost to one caller, and success to the next. So one call at a time is made for a cached
    /// file, and the first failure is the result of all later ones, as in qemu. What is in memory is durable as far as it ever will be.
    /// </remarks>
    /// <param name="index">The file's index among those of the calling thread's queue; on a thread without one it is not used.</param>
    /// <returns>0 or a negative errno.</returns>
    public IoTask<int> SyncAsync(int index) => IsInMemory ? 0 : IsDirect ? SyncNowAsync(index) : SyncCachedAsync(index);

    /// <summary>The same on the calling thread, while no queue uses the file.</summary>
    public int Sync()
    {
        if (_failure == 0 && !IsInMemory)
        {
            _failure = SyncHere();
        }

        return _failure;
    }

    /// <summary>For a file open for direct I/O: what it wants offsets and lengths to be a multiple of, in bytes.</summary>
    /// <remarks>statx(2) reports it from kernel 6.1 on, if the file system supports that; otherwise a read of 512 bytes shows it.</remarks>
    public unsafe int DirectAlignment()
    {
        if ((State.Mask & Libc.STATX_DIOALIGN) != 0 && State.DirectOffsetAlign != 0)
        {
            return int.Max(512, (int)State.DirectOffsetAlign);
        }

        void* block = NativeMemory.AlignedAlloc(512, 4096);
        try
        {
            return Libc.PRead(Handle, block, 512, 0) >= 0 ? 512 : 4096;
        }
        finally
        {
            NativeMemory.AlignedFree(block);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        FileLock.Release(Handle);
        Handle.Dispose();
    }

    private int SyncHere() => Libc.FDataSync(Handle) == 0 ? 0 : -Libc.LastErrno;

    private IoTask<int> SyncNowAsync(int index) => IoQueue.Current is { } queue ? queue.SyncDataAsync(index) : SyncHere();

    private async IoTask<int> SyncCachedAsync(int index)
    {
        await _syncing.EnterAsync();
        using AsyncMutex.Turn turn = new(_syncing);
        if (_failure == 0)
        {
            _failure = int.Min(await SyncNowAsync(index), 0);
        }

        return _failure;
    }

    private void Lock(bool force)
    {
        bool isLocked = ReadOnly ? FileLock.TryShare(Handle) : FileLock.TryOwn(Handle);
        if (!isLocked && !force)
        {
            throw InUse(Path, Libc.EAGAIN);
        }
    }

    private static UblkException OpenError(int errno, string path) => errno switch
    {
        Libc.EBUSY => InUse(path, errno),
        _ => UblkException.FromErrno(errno, "open", $"Cannot open {path}"),
    };

    private static UblkException InUse(string path, int errno) => new(UblkError.BackingFileInUse,
        $"{path} is in use by another device or program. Attach it with -ReadOnly on both sides, or use -IgnoreLock if you "
            + "know that no other program writes to it.",
        errno, "lock");
}
