using Microsoft.Win32.SafeHandles;
using Ublk.Files;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Specification;

namespace Ublk.Targets.Loop;

/// <summary>A disk that is a file, or another block device, byte for byte.</summary>
internal sealed class LoopTarget : BlockTarget
{
    private readonly BackingFile _file;
    private readonly long _offset;
    private readonly int _index;

    /// <summary>A disk on an open file.</summary>
    /// <param name="file">The file; the target disposes it.</param>
    /// <param name="offset">Where in the file the disk begins, in bytes.</param>
    /// <param name="index">The file's place among those of the queues, where the target is a part of another.</param>
    /// <exception cref="UblkException">The file cannot back a disk.</exception>
    internal LoopTarget(BackingFile file, long offset, int index = 0)
    {
        _file = file;
        _index = index;
        _offset = offset;
        Files = [file.Handle];
        Geometry = LoopGeometry.Of(file, offset);
    }

    /// <summary>The catalogue's entry.</summary>
    public static TargetDefinition Definition { get; } = new(
        "Loop",
        "Serves a file or a block device.",
        [
            new TargetOption(DeviceSpecification.BackingPathOption, TargetOptionKind.Path, "The file or block device behind the disk.",
                IsMandatory: true),
            new TargetOption("DirectIO", TargetOptionKind.Boolean,
                "Whether to bypass the page cache; by default where the file system supports it."),
            new TargetOption("Offset", TargetOptionKind.Size, "The offset of the disk in the file, in bytes; 0 by default."),
            new TargetOption("Format", TargetOptionKind.Choice, "Raw serves a file that holds an image of another format byte for byte.")
            {
                Choices = ["Raw"],
            },
        ],
        Open)
    {
        OpenStorage = (options, readOnly) => new LoopStorage(options, readOnly),
        ServesBytes = true,
    };

    /// <inheritdoc/>
    public override TargetGeometry Geometry { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<SafeFileHandle> Files { get; }

    /// <summary>The file behind the disk.</summary>
    internal BackingFile Backing => _file;

    /// <inheritdoc/>
    public override string BackingPath => _file.Path;

    /// <inheritdoc/>
    public override bool ForwardsData => true;

    /// <inheritdoc/>
    /// <remarks>The ring hands every transfer with a file in memory to a kernel thread, which takes longer than a short copy.</remarks>
    public override int ZeroCopyThreshold => _file.IsInMemory ? 64 << 10 : 0;

    /// <summary>Opens a loop disk.</summary>
    /// <exception cref="UblkException">The file cannot back a disk, or direct I/O was asked for and is impossible.</exception>
    public static LoopTarget Open(TargetOptions options)
    {
        string path = options.BackingPath!;
        bool? wantsDirect = options.GetBoolean("DirectIO");
        BackingFile? file = BackingFile.TryOpen(path, options.ReadOnly, direct: wantsDirect ?? true, options.IgnoreLock);
        if (file is null)
        {
            if (wantsDirect == true)
            {
                throw new UblkException(UblkError.NotSupported,
                    $"The file system of {path} has no direct I/O. Leave -DirectIO out, or move the file.", Libc.EINVAL, "open");
            }

            file = BackingFile.TryOpen(path, options.ReadOnly, direct: false, options.IgnoreLock)!;
        }

        try
        {
            LoopTarget target = new(file, options.GetNumber("Offset") ?? 0, options.FirstFile);
            if (file.ReadOnly && !options.ReadOnly)
            {
                options.Warnings.Add($"{path} cannot be opened for writing, so the disk is read-only.");
            }

            return target;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override IoTask<int> HandleAsync(IoRequest request) => request.Operation switch
    {
        IoOperation.Read => ReadAsync(request),
        IoOperation.Write => WriteAsync(request),
        IoOperation.Flush => _file.SyncAsync(_index),
        IoOperation.Discard => DiscardAsync(request),
        IoOperation.WriteZeroes => WriteZeroesAsync(request),
        _ => -Libc.EOPNOTSUPP,
    };

    /// <inheritdoc/>
    internal override bool ReadsAsZeroes(long offset, long length)
    {
        long data = Libc.LSeek(_file.Handle, _offset + offset, Libc.SEEK_DATA);
        return data >= _offset + offset + length || (data < 0 && Libc.LastErrno == Libc.ENXIO);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _file.Dispose();
        }

        base.Dispose(disposing);
    }

    private async IoTask<int> ReadAsync(IoRequest request)
    {
        IoBuffer rest = request.Buffer;
        bool hasEnded = false;
        while (rest.Length > 0)
        {
            long position = _offset + request.Offset + (request.Buffer.Length - rest.Length);
            int read = hasEnded
                ? await request.Queue.ReadZeroesAsync(rest)
                : await ReadFileAsync(request.Queue, rest, position);
            if (IsInterrupted(read))
            {
                continue;
            }

            if (read < 0)
            {
                return read;
            }

            rest = rest.Slice(read);

            // Direct I/O stops unaligned only where the file ends, and could not go on from there.
            hasEnded |= read == 0 || (_file.IsDirect && rest.Length % Geometry.LogicalBlockSize != 0);

            // A block device has all of its disk; one that ends before has vanished, or has lost the data.
            if (hasEnded && _file.IsBlockDevice && rest.Length > 0)
            {
                return -Libc.EIO;
            }
        }

        return request.Buffer.Length;
    }

    private async IoTask<int> WriteAsync(IoRequest request)
    {
        // Through the page cache, a durable write would take the error that the kernel reports once for all data that was lost.
        bool isDirect = _file.IsDirect;
        IoBuffer rest = request.Buffer;
        while (rest.Length > 0)
        {
            long position = _offset + request.Offset + (request.Buffer.Length - rest.Length);
            int written = await WriteFileAsync(request.Queue, rest, position, request.IsForceUnitAccess && isDirect);
            if (IsInterrupted(written))
            {
                continue;
            }

            if (written <= 0)
            {
                return written < 0 ? written : -Libc.EIO;
            }

            rest = rest.Slice(written);
        }

        int result = request.IsForceUnitAccess && !isDirect ? await _file.SyncAsync(_index) : 0;
        return result < 0 ? result : request.Buffer.Length;
    }

    // Read and written here, a file in memory needs no kernel thread.
    private IoTask<int> ReadFileAsync(IoQueue queue, IoBuffer buffer, long position) => _file.IsInMemory && buffer.IsMemory
        ? _file.Read(buffer, position)
        : queue.ReadAsync(_index, buffer, position);

    private IoTask<int> WriteFileAsync(IoQueue queue, IoBuffer buffer, long position, bool durable) =>
        _file.IsInMemory && buffer.IsMemory
        ? _file.Write(buffer, position)
        : queue.WriteAsync(_index, buffer, position, durable);

    private IoTask<int> DiscardAsync(IoRequest request) => _file.IsBlockDevice
        ? DiscardBlocksAsync(request)
        : request.Queue.AllocateAsync(
            _index, Libc.FALLOC_FL_PUNCH_HOLE | Libc.FALLOC_FL_KEEP_SIZE, _offset + request.Offset, request.Length);

    // The ioctl waits for the device, so it waits elsewhere; the await returns to the queue's thread.
    private async IoTask<int> DiscardBlocksAsync(IoRequest request)
    {
        long position = _offset + request.Offset;
        long length = request.Length;
        return await Task.Run(() => BlockDeviceIoctl.Discard(_file.Handle, position, length));
    }

    private async IoTask<int> WriteZeroesAsync(IoRequest request)
    {
        long position = _offset + request.Offset;
        bool keepsBlocks = request.MustStayAllocated || _file.IsBlockDevice;
        int mode = keepsBlocks ? Libc.FALLOC_FL_ZERO_RANGE : Libc.FALLOC_FL_PUNCH_HOLE;
        int result = await request.Queue.AllocateAsync(_index, mode | Libc.FALLOC_FL_KEEP_SIZE, position, request.Length);
        if (result != -Libc.EOPNOTSUPP || !keepsBlocks || _file.IsBlockDevice)
        {
            return result;
        }

        // tmpfs cannot zero in place but can punch a hole and fill it again with zeroes.
        result = await request.Queue.AllocateAsync(
            _index, Libc.FALLOC_FL_PUNCH_HOLE | Libc.FALLOC_FL_KEEP_SIZE, position, request.Length);
        return result < 0
            ? result
            : await request.Queue.AllocateAsync(_index, Libc.FALLOC_FL_KEEP_SIZE, position, request.Length);
    }

    private static bool IsInterrupted(int result) => result is -Libc.EINTR or -Libc.EAGAIN;
}
