using Ublk.Catalog;
using Ublk.Control;
using Ublk.Files;
using Ublk.Images;
using Ublk.Live;
using Ublk.Processes;
using Ublk.Targets;

namespace Ublk.Launching;

/// <summary>Backups of disks in use: each is copied as it is at one instant, the same for all, while it is written.</summary>
internal sealed class DeviceBackup : IDisposable
{
    private readonly LiveDevice _device;
    private readonly BackupRequest _request;
    private readonly string _workerDirectory;
    private readonly string _path;
    private readonly string _temporaryName = NewFile.RandomName();
    private int _percent;
    private bool _isNamed;

    private DeviceBackup(
        ControlDevice control, BackupRequest request, string workerDirectory, Action<string> step, Action progress,
        CancellationToken cancellation)
    {
        (_request, _workerDirectory) = (request, workerDirectory);
        _path = NewImageFile.FollowLinks(request.Path);
        _device = new LiveDevice(
            control, request.Id, step,
            percent =>
            {
                _percent = percent;
                progress();
            },
            cancellation);
    }

    /// <summary>Makes a backup of each disk.</summary>
    /// <param name="requests">The disks and the new images, each of another path.</param>
    /// <param name="freeze">Whether the file systems on the disks are frozen at the instant, so that they are clean in the backups.</param>
    /// <param name="workerDirectory">The module's folder of worker programs.</param>
    /// <param name="step">Called with a sentence for each step, on the calling thread. An exception in it is ignored.</param>
    /// <param name="percent">Called with the percentage of all disks that is copied. An exception in it is ignored.</param>
    /// <param name="cancellation">Gives up before the images get their names.</param>
    /// <exception cref="UblkException">
    /// A disk cannot be copied. No image is left, unless the message says otherwise; the disks are as without a backup, and bitmaps have
    /// all changes since the last one.
    /// </exception>
    public static void Run(
        IReadOnlyList<BackupRequest> requests, bool freeze, string workerDirectory, Action<string> step, Action<int> percent,
        CancellationToken cancellation)
    {
        using ControlDevice control = new();
        Action<string> report = StepReports.Guard(step);
        Action<int> reportPercent = StepReports.Guard(percent);
        List<DeviceBackup> backups = [];
        try
        {
            // In one order, so that two commands do not wait for each other.
            foreach (BackupRequest request in requests.OrderBy(request => request.Id))
            {
                backups.Add(new DeviceBackup(
                    control, request, workerDirectory, report, () => reportPercent(PercentOf(backups)), cancellation));
            }

            backups.ForEach(backup => backup.RequirePossible(backups));
            backups.ForEach(backup => backup.Create(cancellation));
            BeginCopies(backups, freeze, cancellation);
            List<DeviceBackup> running = [.. backups];
            while (running.Count > 0)
            {
                cancellation.ThrowIfCancellationRequested();
                running.RemoveAll(backup => backup._device.Worker.TryEnd() is not null);
            }

            backups.ForEach(backup => backup.Finish());
        }
        catch (Exception exception)
        {
            backups.ForEach(backup => backup.Release());
            string[] left = [.. backups.Select(backup => backup.CleanUp()).OfType<string>()];
            if (left.Length == 0)
            {
                throw;
            }

            UblkException? cause = exception as UblkException;
            throw new UblkException(cause?.Error ?? UblkError.OperationFailed, string.Join(' ', left.Prepend(exception.Message)),
                cause?.Errno ?? 0, "backup", cause?.DeviceId);
        }
        finally
        {
            backups.ForEach(backup => backup.Dispose());
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _device.Dispose();

    // All requests are held before the first go on, so what is written to one disk after the instant is on none of the others.
    private static void BeginCopies(List<DeviceBackup> backups, bool freeze, CancellationToken cancellation)
    {
        using FrozenFileSystems? frozen = freeze
            ? new FrozenFileSystems(backups.SelectMany(backup => backup._device.MountPoints))
            : null;
        try
        {
            backups.ForEach(backup => backup._device.Hold(cancellation));
            cancellation.ThrowIfCancellationRequested();
            backups.ForEach(backup => backup._device.Worker.Begin(new LiveOrder(LiveAction.Copy)));
        }
        catch
        {
            // Thawing writes to the disks, so requests must continue first.
            backups.ForEach(backup => backup.Release());
            throw;
        }
    }

    private static int PercentOf(List<DeviceBackup> backups) =>
        (int)(backups.Sum(backup => (double)backup._device.Size * backup._percent) / backups.Sum(backup => (double)backup._device.Size));

    private void RequirePossible(List<DeviceBackup> group)
    {
        TargetDefinition? target =
            _device.Specification.Assembly is null ? TargetCatalog.Find(_device.Specification.Target) : null;
        string? reason =
            target is not ({ IsImage: true } or { ServesBytes: true } or { NeedsNetwork: true })
                ? $"it has the target {_device.Specification.Target}"
            : _device.Specification.Options.ContainsKey("KeyFile") ? "its image is encrypted, and the backup would not be"
            : _request is { Compress: true, Format: ImageFormat.Raw }
                ? "a raw image cannot be compressed. Omit -Compress, or choose -Format Qcow2"
            : _request is { BackingPath: not null, Format: ImageFormat.Raw }
                ? "a raw image cannot have a backing file. Choose a name that ends in .qcow2, or -Format Qcow2"
            : _request.Bitmap is not null && NextDisk.RefusalOf(_device.Specification, needsImage: true) is { } refusal
                ? $"{refusal}, so a bitmap does not have its changes. Omit -Bitmap"
            : null;
        if (reason is not null)
        {
            throw new UblkException(UblkError.NotSupported, $"The disk of device {_device.Id} cannot be backed up: {reason}.",
                operation: "backup", deviceId: _device.Id);
        }

        // Writes to the image would wait for the backup, and the backup for these writes.
        NextDisk.RequireElsewhere(
            _path, group.SelectMany(backup => NextDisk.PlacesOf(backup._device.Id)), "Give a path on another disk.");
    }

    // A bitmap that is made, or made anew, has everything as changed. So even if this backup fails, no change is missing in the next.
    private void Create(CancellationToken cancellation)
    {
        try
        {
            CreateImage(cancellation);
        }
        catch (UblkException exception) when (exception.Error == UblkError.BitmapNotFound && _request.BackingPath is null)
        {
            _device.ChangeImage(
                new CreateBitmap
                {
                    Path = _device.Specification.BackingPath!,
                    Name = _request.Bitmap!,
                    AllChanged = true,
                    Replace = true,
                },
                _workerDirectory, cancellation);
            _device.Reconnect(cancellation);
            CreateImage(cancellation);
        }
    }

    private void CreateImage(CancellationToken cancellation)
    {
        LiveOrder order = new(LiveAction.Backup)
        {
            Backup = new BackupOrder(
                _path, FileIdentity.Of(Path.GetDirectoryName(_path)), _temporaryName, _request.Format, _device.Size)
            {
                Compress = _request.Compress,
                Replace = _request.Force,
                Bitmap = _request.Bitmap,
                BackingPath = _request.BackingPath,
                BackingFormat = _request.BackingFormat,
            },
        };
        _device.Worker.Run(order, cancellation);
    }

    // Not cancelled: the worker would finish it anyway.
    private void Finish()
    {
        _device.Worker.Run(LiveAction.Finish, null, CancellationToken.None);
        _isNamed = true;
    }

    // The worker gives the backup up.
    private void Release() => _device.Worker.Dispose();

    // A worker that died left its file.
    private string? CleanUp()
    {
        if (_isNamed)
        {
            return $"{_path}, the backup of device {_device.Id}, is complete.";
        }

        string file = Path.Combine(Path.GetDirectoryName(_path)!, _temporaryName);
        try
        {
            File.Delete(file);
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return $"{file} is left: {exception.Message}";
        }
    }
}
