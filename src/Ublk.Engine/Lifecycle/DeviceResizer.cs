using Microsoft.Win32.SafeHandles;
using Ublk.Catalog;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Interop;
using Ublk.Specification;
using Ublk.Targets;

namespace Ublk.Lifecycle;

/// <summary>Changes the size of live disks, with that of what is behind them.</summary>
internal static class DeviceResizer
{
    /// <summary>Resizes a disk.</summary>
    /// <param name="id">The device.</param>
    /// <param name="size">The new size in bytes; null for the size that what is behind the disk has now.</param>
    /// <param name="allowShrink">Whether the disk, or what is behind it, may lose its end.</param>
    /// <param name="workerDirectory">The folder of worker programs.</param>
    /// <param name="step">Called with a sentence for each step, on the calling thread.</param>
    /// <param name="cancellation">Gives up before anything is changed.</param>
    /// <exception cref="UblkException">
    /// It is not ours, not live, cannot have this size, or the driver cannot do it; nothing is changed.
    /// </exception>
    public static void Resize(
        int id, long? size, bool allowShrink, string workerDirectory, Action<string>? step, CancellationToken cancellation)
    {
        using ControlDevice control = new();
        control.GetInfo(id);
        FeatureCatalog.Require(control.Features, UblkFeatures.UpdateSize, "Changing the size of a live disk", id);

        // One at a time, and not while a new worker reads the record.
        using SafeFileHandle idLock = StateDirectory.Own.LockDevice(id, cancellation);
        DeviceRecord record = DeviceTransitions.LiveRecordOf(control, id, cancellation);
        DeviceSpecification specification = record.Specification;
        TargetDefinition? target = specification.Assembly is null ? TargetCatalog.Find(specification.Target) : null;
        if (target is not ({ OpenStorage: not null } or { SizeCounter: not null }))
        {
            throw new UblkException(UblkError.NotSupported, $"The {specification.Target} target cannot change its size.", deviceId: id);
        }

        RequireNoFilters(specification);
        Disk disk = Disk.Of(control, id);
        using DiskStorage storage = target.OpenStorage is { } open
            ? open(record.Specification.Options, disk.ReadOnly)
            : new RemoteStorage(control.GetInfo(id), target, disk.ReadOnly, workerDirectory);
        RequireServed(record, storage);
        Change change = new(control, record, disk, storage, step ?? (_ => { }));
        change.Run(size, allowShrink);
    }

    /// <summary>Checks that a disk may have a size.</summary>
    /// <returns>The size of the disk now, in bytes.</returns>
    /// <exception cref="UblkException">It has filters; the size does not fit its blocks; or it would shrink, and must not.</exception>
    internal static long RequireResizable(ControlDevice control, DeviceSpecification specification, long size, bool allowShrink)
    {
        RequireNoFilters(specification);
        Disk disk = Disk.Of(control, specification.Id!.Value);
        disk.RequireFit(size, disk.Size, allowShrink);
        return disk.Size;
    }

    /// <summary>Changes the size of a live disk. What is behind it has room for that.</summary>
    internal static void UpdateDisk(ControlDevice control, int id, long size, Action<string> step)
    {
        step($"Resizing device {id} to {size} bytes.");
        control.UpdateSize(id, size);
    }

    private static void RequireNoFilters(DeviceSpecification specification)
    {
        if (specification.Filters.Count > 0)
        {
            throw new UblkException(UblkError.NotSupported, "A disk with filters cannot change its size.", deviceId: specification.Id);
        }
    }

    // A path that leads to another file now would be grown, or cut, in the wrong place.
    private static void RequireServed(DeviceRecord record, DiskStorage storage)
    {
        if (storage.File is { } file && FileIdentity.Of(file)?.IsOpenIn(record.ProcessId) != true)
        {
            throw new UblkException(UblkError.InvalidBackingFile,
                $"{record.BackingPath} is not the file that device {record.Specification.Id} serves: it was moved, removed or replaced. "
                    + "Put it back first.",
                deviceId: record.Specification.Id);
        }
    }

    /// <summary>The disk as the driver has it.</summary>
    private readonly record struct Disk(int Id, long Size, int BlockSize, bool ReadOnly)
    {
        public static Disk Of(ControlDevice control, int id)
        {
            UblkParameters parameters = control.GetParameters(id);
            return new Disk(id, (long)parameters.DeviceSectors << UblkAbi.SectorShift, 1 << parameters.LogicalBlockShift,
                (parameters.Attributes & UblkAbi.AttrReadOnly) != 0);
        }

        /// <summary>Checks that the disk may have a size.</summary>
        /// <param name="size">The new size in bytes.</param>
        /// <param name="room">The size in bytes of what is behind it, which gets the new size as well.</param>
        /// <param name="allowShrink">Whether either may lose its end.</param>
        public void RequireFit(long size, long room, bool allowShrink)
        {
            if (size < BlockSize || size % BlockSize != 0)
            {
                throw new UblkException(UblkError.InvalidArgument,
                    $"Size must be a multiple of the disk's block size, {BlockSize} bytes, and not {size}.", deviceId: Id);
            }

            if ((size < Size || size < room) && !allowShrink)
            {
                throw new UblkException(UblkError.InvalidArgument,
                    $"Device {Id} would lose the data beyond {size} bytes: the disk has {Size} bytes, its storage {room}. "
                        + $"Shrink the file system first, then run: Resize-UblkDevice {Id} -Size {size} -AllowShrink",
                    deviceId: Id);
            }

            // A file system or volume would go on using what it knows as its own.
            if (size < Size && DeviceUsers.Layers(Id) is { Count: > 0 } layers)
            {
                throw new UblkException(UblkError.DeviceInUse,
                    $"The disk of device {Id} cannot become smaller: it is {string.Join(", ", layers)}. Unmount it first.",
                    Libc.EBUSY, "resize", Id);
            }
        }
    }

    /// <summary>One change of one disk: what is behind it is larger first, and smaller last.</summary>
    private sealed class Change(ControlDevice control, DeviceRecord record, Disk disk, DiskStorage storage, Action<string> step)
    {
        public void Run(long? wanted, bool allowShrink)
        {
            long size = wanted ?? Available();
            long room = storage.Size ?? disk.Size;
            disk.RequireFit(size, wanted is null ? disk.Size : room, allowShrink);
            if (size >= disk.Size)
            {
                Grow(size, wanted is not null && size != room);
            }
            else
            {
                UpdateDisk(size);
                UpdateStorage(size, wanted is not null && size != room);
            }
        }

        private void Grow(long size, bool storageToo)
        {
            UpdateStorage(size, storageToo);
            try
            {
                UpdateDisk(size);
            }
            catch
            {
                if (storageToo)
                {
                    storage.Undo();
                    StateDirectory.Own.Write(record);
                }

                throw;
            }
        }

        private void UpdateStorage(long size, bool isWanted)
        {
            if (isWanted)
            {
                step($"Resizing the storage of device {disk.Id} to {size} bytes.");
                StateDirectory.Own.Write(record with { Specification = record.Specification with { Options = storage.Resize(size) } });
            }
        }

        private void UpdateDisk(long size)
        {
            if (size != disk.Size)
            {
                step($"Resizing device {disk.Id} from {disk.Size} to {size} bytes.");
                control.UpdateSize(disk.Id, size);
            }
        }

        private long Available() => storage.Size is { } size
            ? size / disk.BlockSize * disk.BlockSize
            : throw Invalid($"The {record.Specification.Target} target has no size of its own. Give one: -Size");

        private UblkException Invalid(string message) => new(UblkError.InvalidArgument, message, deviceId: disk.Id);
    }
}
