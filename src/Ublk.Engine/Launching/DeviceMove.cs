using Ublk.Catalog;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Images;
using Ublk.Interop;
using Ublk.Live;
using Ublk.Specification;

namespace Ublk.Launching;

/// <summary>Moves a disk in use to another place: its data is copied, and then the place is the disk. The former one is kept.</summary>
internal sealed class DeviceMove
{
    private readonly LiveDevice _device;
    private readonly MoveDestination _destination;
    private readonly DeviceSpecification _next;

    private DeviceMove(LiveDevice device, MoveDestination destination)
    {
        (_device, _destination) = (device, destination);
        _next = destination.Specify(Former);
        RequirePossible();
        if (destination.Path is { } path)
        {
            NextDisk.RequireElsewhere(path, NextDisk.PlacesOf(Id), "Give a path on another disk.");
        }
    }

    private DeviceSpecification Former => _device.Specification;

    private int Id => _device.Id;

    /// <summary>Moves a disk.</summary>
    /// <param name="id">The device.</param>
    /// <param name="destination">The other place.</param>
    /// <param name="isMirror">Whether the disk stays in both places, until <see cref="End"/>.</param>
    /// <param name="workerDirectory">The module's folder of worker programs.</param>
    /// <param name="step">Called with a sentence for each step, on the calling thread. An exception in it is ignored.</param>
    /// <param name="percent">Called with the percentage of the step that is done. An exception in it is ignored.</param>
    /// <param name="cancellation">Gives up before the disk is switched.</param>
    /// <returns>Warnings for the user.</returns>
    /// <exception cref="UblkException">
    /// It cannot be moved. The disk has its former place, and a new file is removed, unless the message says otherwise.
    /// </exception>
    public static IReadOnlyList<string> Run(
        int id, MoveDestination destination, bool isMirror, string workerDirectory, Action<string> step, Action<int> percent,
        CancellationToken cancellation)
    {
        Action<string> report = StepReports.Guard(step);
        using ControlDevice control = new();
        using LiveDevice device = new(control, id, report, StepReports.Guard(percent), cancellation);
        DeviceMove move = new(device, destination);
        DiskSwitch diskSwitch = new(move.Former);
        if (isMirror && diskSwitch.IsRegistered)
        {
            throw new UblkException(UblkError.NotSupported,
                $"Device {id} is registered, with one place for its disk, which may not be the one in sync at the next boot. Move it "
                    + $"without -Mirror, or unregister it first: Unregister-UblkDevice {move.Former.Name}",
                operation: "move", deviceId: id);
        }

        move.Create(workerDirectory, report, cancellation);
        try
        {
            MoveOrder order = new(device.Size, IsBlank: destination.NewFormat is not null, isMirror);
            device.Worker.Run(new LiveOrder(LiveAction.Move, move._next) { Move = order }, cancellation);
            device.RequireUnchanged();
            cancellation.ThrowIfCancellationRequested();
            return isMirror
                ? device.Worker.Run(LiveAction.Mirror, null, CancellationToken.None)
                : diskSwitch.Run(device.Worker, move._next);
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

    /// <summary>Ends a mirror: one of the two places is the disk from then on, and the other is closed.</summary>
    /// <param name="id">The device.</param>
    /// <param name="leg">0 for the former place, 1 for the next.</param>
    /// <param name="step">Called with a sentence for each step, on the calling thread. An exception in it is ignored.</param>
    /// <param name="cancellation">Gives up before the mirror is ended.</param>
    /// <exception cref="UblkException">The disk is in one place only, or that place was dropped.</exception>
    public static void End(int id, int leg, Action<string> step, CancellationToken cancellation)
    {
        using ControlDevice control = new();
        using LiveDevice device = new(control, id, StepReports.Guard(step), null, cancellation, mayBeMirrored: true);
        if (device.Record.Mirror is not { } mirror)
        {
            throw new UblkException(UblkError.DeviceStateInvalid,
                $"Device {id} is not mirrored. Begin a mirror: Move-UblkDevice {id} -DestinationPath new.img -Mirror",
                operation: "move", deviceId: id);
        }

        mirror.RequireInSync(id, leg);
        device.Worker.Run(new LiveOrder(LiveAction.Settle) { Leg = leg }, CancellationToken.None);
    }

    private void Create(string workerDirectory, Action<string> step, CancellationToken cancellation)
    {
        if (_destination.NewFormat is not { } format)
        {
            return;
        }

        step($"Creating {_destination.Name}.");
        ImageJob.Run(
            new CreateImage
            {
                Path = _destination.Path!,
                Size = _device.Size,
                Options = new NewImageOptions { Format = format },
            },
            workerDirectory, (_, _, _) => { }, step, cancellation);
    }

    // The next worker serves the disk in the record, which a worker that died may have left there.
    private string? CleanUp()
    {
        bool isNew = _destination.NewFormat is not null;
        if (StateDirectory.Own.TryRead(Id) is not { } record || record.Specification.HasDiskOf(_next))
        {
            return $"Device {Id} may have been moved{(isNew ? $", so {_destination.Name} is left" : "")}: Get-UblkDevice {Id}";
        }

        try
        {
            if (isNew)
            {
                File.Delete(_destination.Path!);
            }

            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return $"{_destination.Name} is left: {exception.Message}";
        }
    }

    private void RequirePossible()
    {
        bool isZeroCopy = _device.Features.HasFlag(UblkFeatures.SupportZeroCopy);
        string? reason = NextDisk.RefusalOf(Former, needsImage: false) ?? (
            Former.Options.ContainsKey("KeyFile") ? "its image is encrypted, and the copy would not be"
            : _destination.NewFormat == ImageFormat.Qcow2 && isZeroCopy
                ? "its data is not copied, and a qcow2 image needs it copied. Choose -Format Raw, or make the device with -BufferMode "
                    + "UserCopy"
            : Former.Recovery != RecoveryMode.None && !TargetCatalog.Find(_next.Target).RecoversWrites
                ? $"it has -Recovery {Former.Recovery}, and the target {_next.Target} cannot have it. Make the device without -Recovery "
                    + "and -AutoRestart"
            : null);
        if (reason is not null)
        {
            throw new UblkException(UblkError.NotSupported, $"The disk of device {Id} cannot be moved to {_destination.Name}: {reason}.",
                operation: "move", deviceId: Id);
        }
    }
}
