using Ublk.Control;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Images;
using Ublk.Interop;
using Ublk.Live;
using Ublk.Qcow2.Format;
using Ublk.Specification;

namespace Ublk.Launching;

/// <summary>Merges the image of a disk in use with its backing file: into that file, or by copying its data into the image.</summary>
internal sealed class DeviceMerge : IDisposable
{
    private readonly string _workerDirectory;
    private readonly Action<string> _step;
    private readonly CancellationToken _cancellation;
    private readonly ControlDevice _control = new();
    private readonly LiveDevice _device;
    private readonly BackingName _backing;
    private readonly string? _dataPath;

    /// <summary>Prepares to merge.</summary>
    /// <param name="id">The device.</param>
    /// <param name="workerDirectory">The module's folder of worker programs.</param>
    /// <param name="step">Called with a sentence for each step, on the calling thread. An exception in it is ignored.</param>
    /// <param name="percent">Called with the percentage of the step that is done. An exception in it is ignored.</param>
    /// <param name="cancellation">Gives up before the disk is switched: it is then as it was.</param>
    /// <exception cref="UblkException">The disk is no image with a backing file, or one that cannot be merged.</exception>
    public DeviceMerge(int id, string workerDirectory, Action<string> step, Action<int> percent, CancellationToken cancellation)
    {
        (_workerDirectory, _step, _cancellation) = (workerDirectory, StepReports.Guard(step), cancellation);
        try
        {
            _device = new LiveDevice(_control, id, _step, StepReports.Guard(percent), cancellation);
            if (NextDisk.RefusalOf(Specification, needsImage: true) is { } refusal)
            {
                throw Impossible($"{refusal}.");
            }

            ImageFormat? format = Specification.Options.GetValueOrDefault("BackingFormat") is { } given
                ? Enum.Parse<ImageFormat>(given, ignoreCase: true)
                : null;
            UblkImage image = ImageInspector.Inspect(ImagePath, ImageFormat.Qcow2);
            RequireMergeable(image);
            _backing = MergeImage.BackingOf(ImagePath, format);
            _dataPath = image.DataPath;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    private DeviceSpecification Specification => _device.Specification;

    private string ImagePath => Specification.BackingPath!;

    /// <summary>Copies what the image has into the backing file, which then is the disk. The image is removed.</summary>
    /// <returns>Warnings for the user.</returns>
    /// <exception cref="UblkException">It cannot be done, and the disk still has the image, unless the message says otherwise.</exception>
    public IReadOnlyList<string> Commit()
    {
        DeviceSpecification next = NextDisk.Specify(Specification, _backing.Path, _backing.Format, "BackingFormat");
        long size = _device.Size;
        bool isSmaller = IsBackingSmaller(size);
        DiskSwitch diskSwitch = new(Specification);
        _device.Hold(_cancellation);
        _cancellation.ThrowIfCancellationRequested();
        _device.Worker.Run(LiveAction.Close, null, CancellationToken.None);
        if (isSmaller)
        {
            _step($"{_backing.Path} gets {size} bytes.");
            ImageJob.Run(
                new ResizeImage { Path = _backing.Path, Format = _backing.Format, Size = size }, _workerDirectory, (_, _, _) => { },
                _step, _cancellation);
        }

        _device.Worker.Run(LiveAction.Merge, next, _cancellation);
        IReadOnlyList<string> warnings = diskSwitch.Run(_device.Worker, next);
        _device.Worker.Dispose();
        return [.. warnings, .. RemoveImage()];
    }

    /// <summary>Copies what the backing file has into the image, which then has no backing file.</summary>
    /// <returns>Warnings for the user.</returns>
    /// <exception cref="UblkException">It cannot be done, and the image still has its backing file.</exception>
    public IReadOnlyList<string> Pull()
    {
        _device.Worker.Run(LiveAction.Pull, null, _cancellation);
        _step($"{ImagePath} is given no backing file.");
        IReadOnlyList<string> warnings = _device.ChangeImage(
            new RebaseImage { Path = ImagePath, HeaderOnly = true }, _workerDirectory, _cancellation);
        _device.Worker.Dispose();
        return warnings;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _device?.Dispose();
        _control.Dispose();
    }

    // Its content is no longer that of the disk, once that is written. With the disk above the backing file it would even be damaged.
    private IEnumerable<string> RemoveImage()
    {
        try
        {
            if (_device.Record.BackingFile is { } served && FileIdentity.Of(ImagePath)?.Matches(served) == true)
            {
                File.Delete(ImagePath);
                return _dataPath is null ? [] : [$"{_dataPath}, which had the data of {ImagePath}, is left. It can be deleted."];
            }

            return [$"{ImagePath} is left: it is not the file that device {_device.Id} served."];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [$"{ImagePath} is left: {exception.Message} Delete it: it is of no use without the disk as it was."];
        }
    }

    private bool IsBackingSmaller(long size)
    {
        long backing = ImageInspector.Inspect(_backing.Path, _backing.Format).VirtualSize;
        return backing <= size
            ? backing < size
            : throw Impossible($"its backing file {_backing.Path} is larger than the disk. Run first: Resize-UblkDevice {_device.Id} -Size "
                + $"{backing}");
    }

    private void RequireMergeable(UblkImage image)
    {
        string? reason =
            image.BackingFile is null ? "it has no backing file."
            : image.Encryption is not null ? "it is encrypted."
            : image.Snapshots.Count > 0 ? "it has snapshots, which need the image and its backing file as they are. Remove them first: "
                + $"Get-UblkImageSnapshot '{ImagePath}' | Remove-UblkImageSnapshot"
            : image.Version < 3 ? "it is of version 2, which cannot mark zeroes. Convert it first: Convert-UblkImage"
            : null;
        if (reason is not null)
        {
            throw Impossible(reason);
        }
    }

    private UblkException Impossible(string reason) => new(UblkError.NotSupported,
        $"The image of device {_device.Id} cannot be merged: {reason}", operation: "merge", deviceId: _device.Id);
}
