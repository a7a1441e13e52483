using Ublk.Catalog;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Images;
using Ublk.Lifecycle;
using Ublk.Specification;

namespace Ublk.Launching;

/// <summary>Resizes live disks whose storage is an image: the image is resized while the device is suspended and requests wait.</summary>
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
    /// <param name="step">Called with a sentence for each step, on the calling thread.</param>
    /// <param name="cancellation">Gives up before anything is changed.</param>
    /// <exception cref="UblkException">
    /// The device is not live, cannot be suspended, or its image cannot have this size; the disk and the image keep their size.
    /// </exception>
    public static void Resize(
        int id, long? size, bool allowShrink, string workerDirectory, Action<string> step, CancellationToken cancellation)
    {
        using ControlDevice control = new();
        control.GetInfo(id);
        FeatureCatalog.Require(control.Features, UblkFeatures.UpdateSize, "Changing the size of a live disk", id);
        DeviceSpecification specification = DeviceTransitions.LiveRecordOf(control, id, cancellation).Specification;
        long wanted = size ?? throw new UblkException(UblkError.InvalidArgument,
            $"Specify the new size of the image: Resize-UblkDevice {id} -Size SIZE", deviceId: id);
        if (DeviceInventory.Find(control, id)?.ReadOnly == true)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"The disk of device {id} is read-only, and so is its image. Remove the device and resize the image: Resize-UblkImage",
                deviceId: id);
        }

        long current = DeviceResizer.RequireResizable(control, specification, wanted, allowShrink);
        if (wanted < current)
        {
            DeviceResizer.UpdateDisk(control, id, wanted, step);
        }

        try
        {
            DeviceSuspender.Suspend(id, step, cancellation);
            ResizeImage(specification, wanted, workerDirectory, step);
        }
        catch (UblkException) when (wanted < current)
        {
            DeviceResizer.UpdateDisk(control, id, current, step);
            throw;
        }
        finally
        {
            Resume(control, id, workerDirectory, step);
        }

        if (wanted > current)
        {
            DeviceResizer.UpdateDisk(control, id, wanted, step);
        }
    }

    private static void ResizeImage(DeviceSpecification specification, long size, string workerDirectory, Action<string> step)
    {
        if (StateDirectory.Own.TryRead(specification.Id!.Value)?.Failure is { } failure)
        {
            throw new UblkException(UblkError.OperationFailed,
                $"The worker of device {specification.Id} could not write its image back: {failure}", operation: "flush",
                deviceId: specification.Id);
        }

        step($"{specification.BackingPath} gets {size} bytes.");
        ImageJob.Run(
            new ResizeImage { Path = specification.BackingPath!, Format = ImageFormat.Qcow2, Size = size, Shrink = true },
            workerDirectory, (_, _, _) => { }, step, CancellationToken.None);
    }

    // Whatever happened to the image, requests must not wait longer.
    private static void Resume(ControlDevice control, int id, string workerDirectory, Action<string> step)
    {
        if (DeviceInventory.Find(control, id) is { State: DeviceState.Suspended })
        {
            DeviceLauncher.Restart(id, [DeviceState.Suspended], acceptFiles: false, workerDirectory, step, CancellationToken.None);
        }
    }
}
