using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Ublk.Counters;
using Ublk.Files;
using Ublk.Interop;
using Ublk.Io;
using Ublk.Qcow2.Data;
using Ublk.Qcow2.Encryption;
using Ublk.Qcow2.Format;
using Ublk.Qcow2.Opening;
using Ublk.Qcow2.State;
using Ublk.Specification;

namespace Ublk.Targets.Qcow2;

/// <summary>A disk that is a qcow2 image.</summary>
public sealed class Qcow2Target : BlockTarget
{
    private readonly Qcow2Layer _disk;
    private readonly ImageUpdater? _updater;
    private readonly RequestEpochs _epochs;
    private readonly DiscardMode _discard;
    private bool _isFinished;

    /// <summary>Serves an open image.</summary>
    /// <param name="disk">The image; owned by this object.</param>
    /// <param name="updater">What writes it, or null; owned by this object.</param>
    /// <param name="discard">What a discard does.</param>
    /// <param name="files">The open files.</param>
    internal Qcow2Target(Qcow2Layer disk, ImageUpdater? updater, DiscardMode discard, IReadOnlyList<SafeFileHandle> files)
    {
        _disk = disk;
        _updater = updater;
        _epochs = disk.State.Epochs;
        _discard = discard;
        Files = files;
        int block = int.Max(512, disk.Alignment);
        Geometry = new TargetGeometry
        {
            Size = (disk.Size + block - 1) / block * block,
            LogicalBlockSize = block,
            PhysicalBlockSize = int.Max(block, int.Min(4096, disk.State.Layout.SubclusterSize)),
            MemoryAlignment = block,
            ReadOnly = updater is null,
            VolatileCache = updater is not null,
            DiscardGranularity = updater is null || discard == DiscardMode.Ignore ? 0 : disk.State.Layout.ClusterSize,
            WriteZeroes = updater is not null,
        };
    }

    /// <summary>The catalogue's entry.</summary>
    public static TargetDefinition Definition { get; } = new(
        "Qcow2",
        "Serves a qcow2 image.",
        [
            new TargetOption(DeviceSpecification.BackingPathOption, TargetOptionKind.Path, "The image.", IsMandatory: true),
            new TargetOption("BackingFormat", TargetOptionKind.Choice, "The format of the backing file if the image does not name it.")
            {
                Choices = ["Qcow2", "Raw"],
            },
            new TargetOption("NoBacking", TargetOptionKind.Boolean,
                "Whether to ignore the backing file: unallocated clusters read as zeroes, and the disk is read-only."),
            new TargetOption("Snapshot", TargetOptionKind.Text,
                "The id or name of an internal snapshot to serve instead of the current disk."),
            new TargetOption("KeyFile", TargetOptionKind.Path, "The file that has the passphrase of an encrypted image."),
            new TargetOption("CacheSize", TargetOptionKind.Size,
                "The size of the metadata cache for each image of the chain, in bytes; 10 MiB by default."),
            new TargetOption("Discard", TargetOptionKind.Choice,
                "What a discard does: Unmap returns the space to the host (the default), Ignore nothing, Zero also makes it read "
                    + "as zeroes.")
            {
                Choices = Enum.GetNames<DiscardMode>(),
            },
            new TargetOption("DirectIO", TargetOptionKind.Boolean,
                "Whether to bypass the page cache; by default where the file system supports it."),
        ],
        Open)
    {
        IsImage = true,
    };

    /// <inheritdoc/>
    public override TargetGeometry Geometry { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<SafeFileHandle> Files { get; }

    /// <inheritdoc/>
    public override string BackingPath => _disk.State.File.Path;

    /// <inheritdoc/>
    public override IReadOnlyList<TargetCounter> Counters => Statistics.All;

    /// <inheritdoc/>
    internal override bool KeepsState => _disk.State.Journal is not null;

    /// <summary>What the image was used for since it was opened.</summary>
    internal Qcow2Statistics Statistics => _disk.State.Statistics;

    /// <summary>Opens an image.</summary>
    /// <exception cref="UblkException">It, or something under it, is malformed, missing, in use, or needs what is not there.</exception>
    public static Qcow2Target Open(TargetOptions options)
    {
        string path = options.BackingPath!;
        DiscardMode discard = Enum.Parse<DiscardMode>(options.GetText("Discard") ?? nameof(DiscardMode.Unmap), ignoreCase: true);
        OpenFiles files = new(options.GetBoolean("DirectIO"), options.IgnoreLock, options.FirstFile + (options.Backing?.Files.Count ?? 0));
        Qcow2Layer disk = OpenLayer(options, files, discard, out ImageUpdater? updater);
        if (updater is null && !options.ReadOnly)
        {
            options.Warnings.Add(options.GetText("Snapshot") is not null ? "A snapshot is never written, so the disk is read-only."
                : options.GetBoolean("NoBacking") == true && disk.State.Header.BackingFile is not null
                    ? $"{path} cannot be written without its backing file, so the disk is read-only."
                : $"{path} cannot be opened for writing, so the disk is read-only.");
        }

        foreach (string warning in updater?.Warnings ?? [])
        {
            options.Warnings.Add(warning);
        }

        Qcow2Target target = new(disk, updater, discard, files.Handles);
        try
        {
            if (options.Backing is { } below)
            {
                RequireBacking(disk, below);
            }

            if (updater is not null && options.StatePath is { } statePath && OpenJournal(disk, statePath, options) is { } journal)
            {
                updater.Keep(journal);
            }
            else if (updater is null && options.MustHaveState && File.Exists(options.StatePath))
            {
                throw WriteJournal.Lost(options.StatePath, Libc.EROFS);
            }

            return target;
        }
        catch
        {
            target.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override IoTask<int> HandleAsync(IoRequest request)
    {
        // A flush uses no cluster that may be given up, and frees what other requests no longer know.
        if (request.Operation == IoOperation.Flush)
        {
            return _updater?.FlushAsync() ?? 0;
        }

        int place = _epochs.Enter();
        IoTask<int> answer = request.Operation == IoOperation.Read
            ? _disk.Reader.ReadAsync(request.Buffer, request.Offset)
            : ChangeAsync(request);
        if (answer.IsCompleted)
        {
            _epochs.Exit(place);
            return answer;
        }

        return AwaitAsync(answer, place);
    }

    /// <summary>Copies what the image itself has of a range, without its backing file, to another target.</summary>
    /// <param name="request">A request of the queue that executes the copy.</param>
    /// <param name="below">The target that gets it.</param>
    /// <param name="offset">The first byte of the range.</param>
    /// <param name="buffer">Memory of the range's length.</param>
    /// <returns>0 or a negative errno.</returns>
    internal async IoTask<int> CopyOwnAsync(IoRequest request, BlockTarget below, long offset, IoBuffer buffer)
    {
        int result = 0;
        while (buffer.Length > 0 && result >= 0)
        {
            Extent extent = _disk.Reader.Map.Find(offset, buffer.Length);
            IoBuffer part = buffer.Slice(0, extent.Length);
            result = extent.Kind switch
            {
                ExtentKind.NotCached => await _disk.LoadTableAsync(offset),
                ExtentKind.Unallocated => 0,
                ExtentKind.Zero => await below.HandleAsync(request.Derive(IoOperation.WriteZeroes, offset, part.Length, default)),
                _ => await HandleAsync(request.Derive(IoOperation.Read, offset, part.Length, part)),
            };
            if (result >= 0 && extent.Kind is ExtentKind.Data or ExtentKind.SharedData or ExtentKind.Compressed)
            {
                result = await below.HandleAsync(request.Derive(IoOperation.Write, offset, part.Length, part));
            }

            buffer = buffer.Slice(extent.Length);
            offset += extent.Length;
        }

        return int.Min(result, 0);
    }

    /// <summary>
    /// Copies what the backing file has of a range into the image, where that has nothing of its own. Zeroes are left out: they are what
    /// an image without a backing file reads there.
    /// </summary>
    /// <param name="offset">The first byte of the range.</param>
    /// <param name="buffer">Memory of the range's length.</param>
    /// <returns>0 or a negative errno.</returns>
    internal async IoTask<int> PullAsync(long offset, IoBuffer buffer)
    {
        int place = _epochs.Enter();
        try
        {
            return _updater is null ? -Libc.EROFS : await _updater.PullAsync(buffer, offset);
        }
        finally
        {
            _epochs.Exit(place);
        }
    }

    /// <summary>Whether the image has an enabled persistent bitmap of this name, which is kept true.</summary>
    internal bool KeepsBitmap(string bitmap) => _updater?.KeepsBitmap(bitmap) == true;

    /// <summary>Takes the changes out of a persistent bitmap of the image, which has those from now on.</summary>
    /// <remarks>On a thread without a queue, while no request is in flight.</remarks>
    /// <param name="bitmap">The bitmap's name.</param>
    /// <returns>The changes; null where the image has no bitmap of this name that is kept true.</returns>
    /// <exception cref="UblkException">The image cannot be written.</exception>
    internal DirtySet? TakeChanges(string bitmap) => _updater?.TakeChanges(bitmap);

    /// <inheritdoc/>
    internal override bool ReadsAsZeroes(long offset, long length)
    {
        int place = _epochs.Enter();
        try
        {
            return _disk.ReadsAsZeroes(offset, length);
        }
        finally
        {
            _epochs.Exit(place);
        }
    }

    /// <inheritdoc/>
    internal override void Finish()
    {
        if (_isFinished)
        {
            return;
        }

        _isFinished = true;
        int result = _updater?.Finish() ?? 0;
        if (result < 0)
        {
            throw UblkException.FromErrno(-result, "flush",
                $"What was written to {BackingPath} after its last flush may be lost, as it could not be written back");
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            try
            {
                Finish();
            }
            catch (UblkException)
            {
                // Callers that need the result call Finish before.
            }
            finally
            {
                _updater?.Dispose();
                _disk.Dispose();
            }
        }

        base.Dispose(disposing);
    }

    private static Qcow2Layer OpenLayer(TargetOptions options, OpenFiles files, DiscardMode discard, out ImageUpdater? updater)
    {
        byte[]? passphrase = options.GetText("KeyFile") is { } keyFile ? KeyFile.Read(keyFile) : null;
        try
        {
            return new ImageOpener(files.Open, new ImageOptions
            {
                ReadOnly = options.ReadOnly,
                BackingFormat = options.GetText("BackingFormat") is { } format ? Enum.Parse<ImageFormat>(format, ignoreCase: true) : null,
                NoBacking = options.GetBoolean("NoBacking") ?? false,
                Backing = options.Backing is { } backing ? new TargetLayer(backing) : null,
                Snapshot = options.GetText("Snapshot"),
                Passphrase = passphrase,
                CacheSize = options.GetNumber("CacheSize") ?? CacheShares.Default,
                PunchesHoles = discard != DiscardMode.Ignore,
            }).Open(options.BackingPath!, out updater);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(passphrase);
        }
    }

    // A new disk works as well without it, as long as the worker lives.
    private static WriteJournal? OpenJournal(Qcow2Layer disk, string path, TargetOptions options)
    {
        try
        {
            int errno = Libc.Statx(disk.State.File.Handle!, out Libc.StatxBuffer state);
            if (errno != 0)
            {
                throw UblkException.FromErrno(errno, "statx", $"Cannot look at {disk.State.File.Path}");
            }

            ulong device = ((ulong)state.DeviceMajor << 32) | state.DeviceMinor;
            return WriteJournal.Open(path, (device, state.Inode), disk.State.Layout.ClusterSize, options.MustHaveState);
        }
        catch (UblkException exception) when (!options.MustHaveState)
        {
            options.Warnings.Add($"{exception.Message} Should the disk's worker die, writes that were not flushed would be lost with it.");
            return null;
        }
    }

    // The image's owner decides what its header says.
    private static void RequireBacking(Qcow2Layer disk, BlockTarget below)
    {
        ImageFile image = disk.State.File;
        if (disk.State.Header.BackingFile is not { } name
            || !FileIdentity.IsSame(ImageReference.Resolve(image.Path, name), below.BackingPath))
        {
            throw new UblkException(UblkError.InvalidBackingFile, $"{below.BackingPath} is not the backing file of {image.Path}.");
        }

        ImageReference.Check(image.Path, image.Handle, below.BackingPath!, below.Files[0], isWritten: true);
    }

    private IoTask<int> ChangeAsync(IoRequest request) => _updater is null
        ? -Libc.EROFS
        : request.Operation switch
        {
            IoOperation.Write => _updater.WriteAsync(request.Buffer, request.Offset, request.IsForceUnitAccess),
            IoOperation.Discard when _discard == DiscardMode.Ignore => 0,
            IoOperation.Discard => _updater.ZeroAsync(request.Offset, request.Length,
                _discard == DiscardMode.Zero ? ZeroKind.Free : ZeroKind.Discard, durable: false),
            IoOperation.WriteZeroes => _updater.ZeroAsync(request.Offset, request.Length,
                request.MustStayAllocated ? ZeroKind.Keep : ZeroKind.Free, request.IsForceUnitAccess),
            _ => -Libc.EOPNOTSUPP,
        };

    private async IoTask<int> AwaitAsync(IoTask<int> answer, int place)
    {
        try
        {
            return await answer;
        }
        finally
        {
            _epochs.Exit(place);
        }
    }
}

/// <summary>What a discard does.</summary>
internal enum DiscardMode
{
    /// <summary>Clusters are given up and become holes of the host's file.</summary>
    Unmap,

    /// <summary>Nothing; nor do freed clusters become holes.</summary>
    Ignore,

    /// <summary>As <see cref="Unmap"/>, and what is discarded reads as zeroes.</summary>
    Zero,
}
