using Ublk.Control;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Images;
using Ublk.Interop;
using Ublk.Live;
using Ublk.Specification;

namespace Ublk.Launching;

/// <summary>Moves a disk in use into a new file: its data is copied, and then the file is the disk. The former file is kept.</summary>
internal sealed class DeviceMove
{
    private readonly LiveDevice _device;
    private readonly string _path;
    private readonly ImageFormat _format;

    private DeviceMove(LiveDevice device, string path, ImageFormat format)
    {
        (_device, _path, _format) = (device, path, format);
        RequirePossible();
        NextDisk.RequireElsewhere(path, NextDisk.PlacesOf(Id), "Give a path on another disk.");
    }

    private DeviceSpecification Former => _device.Specification;

    private int Id => _device.Id;

    /// <summary>Moves a disk.</summary>
    /// <param name="id">The device.</param>
    /// <param name="path">The new file; there must be none.</param>
    /// <param name="format">Its format.</param>
    /// <param name="workerDirectory">The module's folder of worker programs.</param>
    /// <param name="step">Called with a sentence for each step, on the calling thread. An exception in it is ignored.</param>
    /// <param name="percent">Called with the percentage of the step that is done. An exception in it is ignored.</param>
    /// <param name="cancellation">Gives up before the disk is switched.</param>
    /// <returns>Warnings for the user.</returns>
    /// <exception cref="UblkException">
    /// It cannot be moved. The disk has its former file, and the new one is removed, unless the message says otherwise.
    /// </exception>
    public static IReadOnlyList<string> Run(
        int id, string path, ImageFormat format, string workerDirectory, Action<string> step, Action<int> percent,
        CancellationToken cancellation)
    {
        Action<string> report = StepReports.Guard(step);
        using ControlDevice control = new();
        using LiveDevice device = new(control, id, report, StepReports.Guard(percent), cancellation);
        DeviceMove move = new(device, path, format);
        DiskSwitch diskSwitch = new(move.Former);
        move.Create(workerDirectory, report, cancellation);
        try
        {
            DeviceSpecification next = NextDisk.Specify(move.Former, path, format);
            device.Worker.Run(LiveAction.Move, next, cancellation);
            device.RequireUnchanged();
            cancellation.ThrowIfCancellationRequested();
            return diskSwitch.Run(device.Worker, next);
        }
        catch (Exception exception)
        {
            // The worker gives the copy up when the connection ends. Removing the file writes to its file system, which must not wait.
            device.Worker.Dispose();
            if (move.CleanUp() is not { } left)
            {
                throw;
            }

            UblkException? cause = exception as UblkException;
            throw new UblkException(
                cause?.Error ?? UblkError.OperationFailed, $"{exception.Message} {left}", cause?.Errno ?? 0, "move", id);
        }
    }

    private void Create(string workerDirectory, Action<string> step, CancellationToken cancellation)
    {
        step($"Creating {_path}.");
        ImageJob.Run(
            new CreateImage
            {
                Path = _path,
                Size = _device.Size,
                Options = new NewImageOptions { Format = _format },
            },
            workerDirectory, (_, _, _) => { }, step, cancellation);
    }

    // The next worker serves the file in the record, which a worker that died may have left there.
    private string? CleanUp()
    {
        if (StateDirectory.Own.TryRead(Id) is not { } record || record.Specification.BackingPath == _path)
        {
            return $"Device {Id} may have been moved, so {_path} is left: Get-UblkDevice {Id}";
        }

        try
        {
            File.Delete(_path);
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return $"{_path} is left: {exception.Message}";
        }
    }

    private void RequirePossible()
    {
        bool isZeroCopy = _device.Features.HasFlag(UblkFeatures.SupportZeroCopy);
        string? reason = NextDisk.RefusalOf(Former, needsImage: false) ?? (
            Former.Options.ContainsKey("KeyFile") ? "its image is encrypted, and the new file would not be"
            : _format == ImageFormat.Qcow2 && isZeroCopy
                ? "its data is not copied, and a qcow2 image needs it copied. Choose -Format Raw, or make the device with -BufferMode "
                    + "UserCopy"
            : null);
        if (reason is not null)
        {
            throw new UblkException(UblkError.NotSupported, $"The disk of device {Id} cannot be moved to {_path}: {reason}.",
                operation: "move", deviceId: Id);
        }
    }
}
