using Microsoft.Win32.SafeHandles;
using Ublk.Catalog;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Images;
using Ublk.Lifecycle;
using Ublk.Live;
using Ublk.Specification;

namespace Ublk.Launching;

/// <summary>Resizes live disks whose storage is an image: the image is resized while it is closed and requests wait.</summary>
internal static class ImageDiskResizer
{
    /// <summary>Whether a device's disk is an image.</summary>
    public static bool IsFor(int id) => DeviceInventory.Find(id)?.Target is { } target
        && TargetCatalog.All.Any(definition => definition.Name == target && definition.IsImage);

    /// <summary>Resizes a disk and its image.</summary>
    /// <param name="id">The device.</param>
    /// <param name="size">The new size in bytes; an image has no size of its own that a disk in use could adopt.</param>
    /// <param name="allowShrink">Whether the disk may lose its end.</param>
    /// <param name="workerDirectory">The module's folder of worker programs.</param>
    /// <param name="step">Called with a sentence for each step, on the calling thread. An exception in it is ignored.</param>
    /// <param name="cancellation">Gives up before the image is changed.</param>
    /// <exception cref="UblkException">
    /// The device is not live, or its image cannot have this size; the disk keeps its size, unless the image has become smaller.
    /// </exception>
    public static void Resize(
        int id, long? size, bool allowShrink, string workerDirectory, Action<string> step, CancellationToken cancellation)
    {
        using ControlDevice control = new();
        Action<string> report = StepReports.Guard(step);
        control.GetInfo(id);
        FeatureCatalog.Require(control.Features, UblkFeatures.UpdateSize, "Changing the size of a live disk", id);
        using SafeFileHandle idLock = StateDirectory.Own.LockDevice(id, cancellation);
        DeviceRecord record = DeviceTransitions.LiveRecordOf(control, id, cancellation);
        DeviceSpecification specification = record.Specification;
        long wanted = size ?? throw new UblkException(UblkError.InvalidArgument,
            $"Specify the new size of the image: Resize-UblkDevice {id} -Size SIZE", deviceId: id);
        if (DeviceInventory.Find(control, id)?.ReadOnly == true)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"The disk of device {id} is read-only, and so is its image. Remove the device and resize the image: Resize-UblkImage",
                deviceId: id);
        }

        long current = DeviceResizer.RequireResizable(control, specification, wanted, allowShrink);
        bool isImageResized = false;
        using (LiveConnection worker = LiveConnection.Open(id, report))
        {
            if (wanted < current)
            {
                DeviceResizer.UpdateDisk(control, id, wanted, report);
            }

            try
            {
                worker.Run(LiveAction.Hold, null, cancellation);
                DeviceTransitions.RequireUnchanged(record);
                cancellation.ThrowIfCancellationRequested();
                worker.Run(LiveAction.Close, null, CancellationToken.None);
                report($"Resizing {specification.BackingPath} to {wanted} bytes.");
                ImageJob.Run(
                    new ResizeImage { Path = specification.BackingPath!, Format = ImageFormat.Qcow2, Size = wanted, Shrink = true },
                    workerDirectory, (_, _, _) => { }, report, CancellationToken.None);
                isImageResized = true;
                worker.Run(LiveAction.Open, specification, CancellationToken.None);
            }
            catch when (wanted < current && !isImageResized)
            {
                DeviceResizer.UpdateDisk(control, id, current, report);
                throw;
            }
        }

        if (wanted > current)
        {
            DeviceResizer.UpdateDisk(control, id, wanted, report);
        }
    }
}
