using Microsoft.Win32.SafeHandles;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Images;
using Ublk.Interop;
using Ublk.Lifecycle;
using Ublk.Live;
using Ublk.Specification;

namespace Ublk.Launching;

/// <summary>Moves a disk in use into a new file: its data is copied, and then the file is the disk. The former file is kept.</summary>
internal sealed class DeviceMove
{
    private readonly ControlDevice _control;
    private readonly DeviceRecord _record;
    private readonly string _path;
    private readonly ImageFormat _format;

    private DeviceMove(ControlDevice control, DeviceRecord record, string path, ImageFormat format)
    {
        (_control, _record, _path, _format) = (control, record, path, format);
        RequirePossible();
        NextDisk.RequireElsewhere(path, NextDisk.PlacesOf(Id), "Give a path on another disk.");
    }

    private DeviceSpecification Former => _record.Specification;

    private int Id => Former.Id!.Value;

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
        using SafeFileHandle idLock = StateDirectory.Own.LockDevice(id, cancellation);
        DeviceMove move = new(control, DeviceTransitions.LiveRecordOf(control, id, cancellation), path, format);
        DiskSwitch diskSwitch = new(move.Former);
        using LiveConnection worker = LiveConnection.Open(id, report, StepReports.Guard(percent));
        move.Create(workerDirectory, report, cancellation);
        try
        {
            DeviceSpecification next = NextDisk.Specify(move.Former, path, format);
            worker.Run(LiveAction.Move, next, cancellation);
            DeviceTransitions.RequireUnchanged(move._record);
            cancellation.ThrowIfCancellationRequested();
            return diskSwitch.Run(worker, next);
        }
        catch (Exception exception)
        {
            // The worker gives the copy up when the connection ends. Removing the file writes to its file system, which must not wait.
            worker.Dispose();
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
                Size = (long)_control.GetParameters(Id).DeviceSectors << UblkAbi.SectorShift,
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
        bool isZeroCopy = ((UblkFeatures)_control.GetInfo(Id).Flags).HasFlag(UblkFeatures.SupportZeroCopy);
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
