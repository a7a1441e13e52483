using Ublk.Files;
using Ublk.Images;
using Ublk.Qcow2.State;
using Ublk.Serving;
using Ublk.Targets;
using Ublk.Targets.Qcow2;

namespace Ublk.Live;

/// <summary>Copies a disk as it is at one instant, or what has changed of it, into a new image, while it is written.</summary>
/// <remarks>
/// The image has its name only when it is whole and durable. Until then a bitmap may still need the changes that were taken out of it.
/// </remarks>
internal sealed class DiskBackup : IDisposable
{
    private static readonly TimeSpan WatchInterval = TimeSpan.FromSeconds(1);

    private readonly BlockTarget _disk;
    private readonly bool _isBound;
    private readonly UncopiedChunks _chunks;
    private readonly NewImage _image;
    private readonly ImageWriter _writer;
    private DirtySet? _changes;
    private volatile bool _isGivenUp;

    private DiskBackup(OpenedDisk disk, BackupOrder order)
    {
        NewImageOptions options = new()
        {
            Format = order.Format,
            BackingFile = order.BackingPath is { } backing ? ImageReference.RelativeName(order.Path, backing) : null,
            BackingFormat = order.BackingPath is null ? null : order.BackingFormat,

            // An increment is written once, in whole clusters.
            ExtendedL2 = order.BackingPath is null ? null : false,
        };
        Order = order;
        _disk = disk.Storage;
        _isBound = disk.Bare.IsBoundToQueues;
        _chunks = new UncopiedChunks(order.Size);
        Target = new BackupTarget(disk.Target, _chunks);
        _image = NewImage.Begin(order.Path, options, order.Size, order.Replace, temporaryName: order.TemporaryName);
        _writer = new ImageWriter(_image, order.Compress);
    }

    /// <summary>What the image is like.</summary>
    public BackupOrder Order { get; }

    /// <summary>What answers the requests of the disk from the instant on.</summary>
    public BlockTarget Target { get; }

    /// <summary>Whether the image is whole and durable, but for its name.</summary>
    public bool IsCopied { get; private set; }

    /// <summary>Creates the image, empty.</summary>
    /// <param name="disk">The disk.</param>
    /// <param name="order">What the image is like.</param>
    /// <exception cref="UblkException">
    /// It cannot be created, or would take the place of a file of the disk; <see cref="UblkError.BitmapNotFound"/> if the disk has no
    /// bitmap of this name that is kept true.
    /// </exception>
    public static DiskBackup Begin(OpenedDisk disk, BackupOrder order)
    {
        RequirePlace(disk, order);
        RequireApart(disk, order);
        DiskBackup backup = new(disk, order);
        if (order.Bitmap is not { } bitmap || (disk.Storage as Qcow2Target)?.KeepsBitmap(bitmap) == true)
        {
            return backup;
        }

        backup.Dispose();
        throw new UblkException(UblkError.BitmapNotFound,
            $"{disk.Storage.BackingPath} has no bitmap '{bitmap}' with all changes since a backup: it does not exist, is disabled, or was "
                + "not saved. Make a full backup, which begins it: "
                + $"Backup-UblkDevice {disk.Specification.Id} -DestinationPath PATH -Bitmap '{bitmap}'",
            operation: "backup", deviceId: disk.Specification.Id);
    }

    /// <summary>The instant of the backup; while no request is in flight, on a thread without a queue.</summary>
    /// <returns>The bytes to read, in whole chunks.</returns>
    /// <exception cref="UblkException">The disk's image cannot be written.</exception>
    public long Start()
    {
        _changes = Order.Bitmap is { } bitmap ? ((Qcow2Target)_disk).TakeChanges(bitmap) : null;
        IEnumerable<(long Offset, long Length)> ranges = Order.BackingPath is null ? [(0, Order.Size)] : _changes!.Ranges;
        foreach ((long offset, long length) in ranges)
        {
            _chunks.Add(offset, length);
        }

        return _chunks.Length;
    }

    /// <summary>Copies what is to be read. At the end, or when it fails, no request waits for it any more.</summary>
    /// <param name="targets">The queues of the disk.</param>
    /// <param name="advance">Called with the number of bytes that are read.</param>
    /// <param name="check">Called now and then; throws where the command is to end.</param>
    /// <exception cref="UblkException">Something cannot be read or written.</exception>
    public void Copy(TargetSwitch targets, Action<long> advance, Action check)
    {
        try
        {
            // An image that hangs while it is written must not keep requests waiting once the command has ended.
            using Timer watch = new(_ => Watch(check), null, WatchInterval, WatchInterval);
            using DiskReader reader = new(_disk, _isBound, targets);
            long done = 0;
            while (_chunks.TryGetNext(CopyQueue.MaxLength, out long offset, out int length))
            {
                CopyRange(reader, offset, length);
                done += length;
                advance(done);
                check();
            }
        }
        finally
        {
            _chunks.Clear();
        }

        if (_isGivenUp)
        {
            throw new OperationCanceledException();
        }

        _image.Build();
        _image.DataFile.Flush();
        IsCopied = true;
    }

    /// <summary>Gives the image its name.</summary>
    /// <exception cref="UblkException">That is impossible.</exception>
    public void Finish()
    {
        _image.Finish();
        _changes = null;
    }

    /// <summary>Removes the image, if it has no name. The bitmap then has the changes again.</summary>
    public void Dispose()
    {
        _image.Dispose();
        _changes?.Return();
        _changes = null;
    }

    // The worker may have other mounts than the command.
    private static void RequirePlace(OpenedDisk disk, BackupOrder order)
    {
        if (FileIdentity.Of(Path.GetDirectoryName(order.Path)) != order.Folder)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"The worker of device {disk.Specification.Id} does not have the file system of {order.Path}: it is not mounted there for "
                    + "the worker, as it was mounted on another ublk disk when the worker started. Choose a path on another file system.",
                operation: "backup", deviceId: disk.Specification.Id);
        }

        if (FileIdentity.Of(order.Path) is { } taken && disk.Target.Files.Any(file => FileIdentity.Of(file) == taken))
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"{order.Path} is a file of device {disk.Specification.Id} itself. Choose another path.",
                operation: "backup", deviceId: disk.Specification.Id);
        }
    }

    // The disk would change what the backup shows.
    private static void RequireApart(OpenedDisk disk, BackupOrder order)
    {
        if (order.BackingPath is null)
        {
            return;
        }

        foreach (UblkImage image in ImageInspector.InspectChain(order.BackingPath, order.BackingFormat, null))
        {
            if (disk.Target.Files.Any(file => FileIdentity.Of(file) is { } used
                && (used == FileIdentity.Of(image.Path) || used == FileIdentity.Of(image.DataPath))))
            {
                throw new UblkException(UblkError.InvalidArgument,
                    $"{image.Path} is a file of device {disk.Specification.Id} itself, so it is no backup of it. Choose another "
                        + "-BackingPath.",
                    operation: "backup", deviceId: disk.Specification.Id);
            }
        }
    }

    private void Watch(Action check)
    {
        try
        {
            check();
        }
        catch (Exception)
        {
            _isGivenUp = true;
            _chunks.Clear();
        }
    }

    // What was read is in memory, so changes need not wait until it is written.
    private void CopyRange(DiskReader reader, long offset, int length)
    {
        if (_disk.ReadsAsZeroes(offset, length))
        {
            _chunks.Remove(offset, length);
            _writer.WriteZeroes(offset, length);
            return;
        }

        ReadOnlySpan<byte> data = reader.Read(offset, length);
        _chunks.Remove(offset, length);
        _writer.Write(data, offset);
    }
}
