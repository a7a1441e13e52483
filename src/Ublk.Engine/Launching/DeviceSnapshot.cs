using Ublk.Catalog;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Images;
using Ublk.Interop;
using Ublk.Live;
using Ublk.Processes;
using Ublk.Registration;
using Ublk.Specification;

namespace Ublk.Launching;

/// <summary>
/// Snapshots of disks in use: the file behind each stays as it is at one instant, and a new image above it takes the writes.
/// </summary>
internal static class DeviceSnapshot
{
    /// <summary>Takes a snapshot of each disk, all at one instant.</summary>
    /// <param name="disks">The devices, with the path of the new image of each.</param>
    /// <param name="freeze">Whether the file systems on the disks are frozen meanwhile, so that they are clean in the snapshot.</param>
    /// <param name="workerDirectory">The module's folder of worker programs.</param>
    /// <param name="step">Called with a sentence for each step, on the calling thread. An exception in it is ignored.</param>
    /// <param name="cancellation">Gives up before the first disk is switched, which undoes it.</param>
    /// <returns>Warnings for the user.</returns>
    /// <exception cref="UblkException">
    /// A disk cannot have a snapshot. All disks are as they were, and no new image is left, unless the message says otherwise.
    /// </exception>
    public static IReadOnlyList<string> Take(
        IReadOnlyList<(int Id, string Path)> disks, bool freeze, string workerDirectory, Action<string> step,
        CancellationToken cancellation)
    {
        using ControlDevice control = new();
        Action<string> report = StepReports.Guard(step);
        List<Layer> layers = [];
        try
        {
            // In one order, so that two commands do not wait for each other.
            foreach ((int id, string path) in disks.OrderBy(disk => disk.Id))
            {
                layers.Add(new Layer(control, id, path, report, cancellation));
            }

            layers.ForEach(layer => layer.RequirePossible());
            layers.ForEach(layer => layer.RequireElsewhere(layers));
            layers.ForEach(layer => layer.Create(workerDirectory));
            return Switch(layers, freeze, cancellation);
        }
        catch (Exception exception)
        {
            string[] left = [.. layers.Select(layer => layer.CleanUp()).OfType<string>()];
            if (left.Length == 0)
            {
                throw;
            }

            UblkException? cause = exception as UblkException;
            throw new UblkException(cause?.Error ?? UblkError.OperationFailed, string.Join(' ', left.Prepend(exception.Message)),
                cause?.Errno ?? 0, "snapshot", cause?.DeviceId);
        }
        finally
        {
            layers.ForEach(layer => layer.Dispose());
        }
    }

    // Until this ends nothing may write to the disks: their requests wait, and their file systems may be frozen.
    private static IReadOnlyList<string> Switch(List<Layer> layers, bool freeze, CancellationToken cancellation)
    {
        FrozenFileSystems? frozen = freeze ? new FrozenFileSystems(layers.SelectMany(layer => layer.MountPoints)) : null;
        try
        {
            layers.ForEach(layer => layer.Hold());
            cancellation.ThrowIfCancellationRequested();
            return [.. layers.SelectMany(layer => layer.Switch())];
        }
        catch
        {
            layers.ForEach(layer => layer.SwitchBack());
            throw;
        }
        finally
        {
            // Thawing writes to the disks, so requests must continue first.
            layers.ForEach(layer => layer.Release());
            frozen?.Dispose();
        }
    }

    /// <summary>One disk, its image until now and the new one above.</summary>
    private sealed class Layer : IDisposable
    {
        private readonly LiveDevice _device;
        private readonly string _path;
        private readonly DeviceSpecification _next;
        private readonly Action<string> _step;
        private readonly CancellationToken _cancellation;
        private DeviceSpecification? _registered;
        private bool _isCreated;
        private bool _isSwitched;

        public Layer(ControlDevice control, int id, string path, Action<string> step, CancellationToken cancellation)
        {
            (_path, _step, _cancellation) = (path, step, cancellation);
            _device = new LiveDevice(control, id, step, null, cancellation);
            _next = NextDisk.Specify(Former, path, ImageFormat.Qcow2);
        }

        /// <summary>Where the disk or a partition of it is mounted.</summary>
        public IEnumerable<string> MountPoints => _device.MountPoints;

        private int Id => _device.Id;

        private DeviceSpecification Former => _device.Specification;

        /// <summary>Checks that the disk can have a snapshot.</summary>
        public void RequirePossible()
        {
            string? reason = NextDisk.RefusalOf(Former, needsImage: false) ?? (
                Former.Options.ContainsKey("Offset") ? "it begins inside of its file (-Offset)"
                : Former.Options.ContainsKey("KeyFile") ? "its image is encrypted"
                : _device.Features.HasFlag(UblkFeatures.SupportZeroCopy)
                    ? "its data is not copied, and an image needs it copied. Make the device with -BufferMode UserCopy or -BufferMode Copy"
                : null);
            if (reason is not null)
            {
                throw new UblkException(UblkError.NotSupported, $"The disk of device {Id} cannot have a snapshot: {reason}.",
                    operation: "snapshot", deviceId: Id);
            }
        }

        /// <summary>Checks that neither image is on a disk whose requests wait while it is opened or closed.</summary>
        public void RequireElsewhere(IReadOnlyList<Layer> layers)
        {
            (int Id, string Place)[] held = [.. layers.SelectMany(layer => NextDisk.PlacesOf(layer.Id))];
            NextDisk.RequireElsewhere(_path, held, "Give a path on another disk.");
            NextDisk.RequireElsewhere(Path.GetFullPath(Former.BackingPath!), held, "Take their snapshots one after the other.");
        }

        /// <summary>Creates the image. Its content is that of the disk, now and until the disk is switched, so boot may use it.</summary>
        public void Create(string workerDirectory)
        {
            _step($"Creating {_path}.");
            ImageJob.Run(
                new CreateImage
                {
                    Path = _path,
                    Size = _device.Size,
                    Options = new NewImageOptions
                    {
                        Format = ImageFormat.Qcow2,
                        BackingFile = Path.GetFullPath(Former.BackingPath!),
                        BackingFormat = TargetCatalog.Find(Former.Target)!.IsImage ? ImageFormat.Qcow2 : ImageFormat.Raw,
                    },
                },
                workerDirectory, (_, _, _) => { }, _step, _cancellation);
            _isCreated = true;
            if (Former.Name is { } name && DeviceRegistrar.TryRead(name) is { } registered && registered.HasDiskOf(Former))
            {
                _registered = registered;
                DeviceRegistrar.Replace(name, registered with { Target = _next.Target, Options = _next.Options });
            }
        }

        /// <summary>Has new requests wait.</summary>
        public void Hold() => _device.Hold(_cancellation);

        /// <summary>Has the new image take the writes, once they go on. Not cancelled: the worker would finish it anyway.</summary>
        /// <returns>Warnings for the user.</returns>
        public IReadOnlyList<string> Switch()
        {
            _device.Worker.Run(LiveAction.Close, null, CancellationToken.None);
            IReadOnlyList<string> warnings = _device.Worker.Run(LiveAction.Open, _next, CancellationToken.None);
            _isSwitched = true;
            return warnings;
        }

        /// <summary>Has the former image take the writes again. A failure does not keep other disks from it.</summary>
        public void SwitchBack()
        {
            if (!_isSwitched)
            {
                return;
            }

            try
            {
                _device.Worker.Run(LiveAction.Close, null, CancellationToken.None);
                _device.Worker.Run(LiveAction.Open, Former, CancellationToken.None);
            }
            catch (Exception exception)
            {
                _step($"Device {Id} cannot go back to {Former.BackingPath}: {exception.Message}");
            }
        }

        /// <summary>Has requests continue.</summary>
        public void Release() => _device.Worker.Dispose();

        /// <summary>Removes the image, unless the device has it. This writes to other files, so requests must continue first.</summary>
        /// <returns>A sentence about what could not be undone, or null.</returns>
        public string? CleanUp()
        {
            if (!_isCreated)
            {
                return null;
            }

            // The next worker serves the image in the record, which a worker that died may have left there.
            if (StateDirectory.Own.TryRead(Id) is not { } record || record.Specification.BackingPath == _path)
            {
                return $"Device {Id} stays with {_path}.";
            }

            try
            {
                if (_registered is { } registered && DeviceRegistrar.TryRead(Former.Name!)?.BackingPath == _path)
                {
                    DeviceRegistrar.Replace(Former.Name!, registered);
                }

                File.Delete(_path);
                return null;
            }
            catch (Exception exception)
            {
                return $"{_path} is left: {exception.Message}";
            }
        }

        public void Dispose() => _device.Dispose();
    }
}
