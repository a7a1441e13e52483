using Ublk.Catalog;
using Ublk.Devices;
using Ublk.Files;
using Ublk.Specification;
using Ublk.Targets;

namespace Ublk.Launching;

/// <summary>The disk that a device in use gets in place of its own: what is required of both.</summary>
internal static class NextDisk
{
    /// <summary>Describes a device with another file as its disk. Options that describe the former file are left out.</summary>
    /// <param name="former">The device as it is.</param>
    /// <param name="path">The file.</param>
    /// <param name="format">Its format.</param>
    /// <param name="imageOptions">Options that it also keeps if it is an image.</param>
    public static DeviceSpecification Specify(
        DeviceSpecification former, string path, ImageFormat format, params IReadOnlyList<string> imageOptions)
    {
        bool isRaw = format == ImageFormat.Raw;
        Dictionary<string, string> options = former.Options
            .Where(option => option.Key == "DirectIO"
                || (!isRaw && (option.Key is "CacheSize" or "Discard" || imageOptions.Contains(option.Key))))
            .ToDictionary();
        options[DeviceSpecification.BackingPathOption] = path;
        if (isRaw)
        {
            // Whatever its content looks like.
            options["Format"] = nameof(ImageFormat.Raw);
        }

        string target = TargetCatalog.All.Single(target => isRaw ? target.ServesBytes : target.IsImage).Name;
        return former with { Target = target, Options = options };
    }

    /// <summary>Why the disk of a device cannot be replaced; null where it can.</summary>
    /// <param name="former">The device.</param>
    /// <param name="needsImage">Whether it must be an image, not just any file.</param>
    public static string? RefusalOf(DeviceSpecification former, bool needsImage)
    {
        TargetDefinition? target = former.Assembly is null ? TargetCatalog.Find(former.Target) : null;
        int exchangeable = FilterStack.CountExchangeable(former.Filters);
        return
            needsImage && target is not { IsImage: true } ? $"it is no qcow2 image, but of the target {former.Target}"
            : target is not ({ IsImage: true } or { ServesBytes: true })
                ? $"it is neither a file nor a qcow2 image, but of the target {former.Target}"
            : exchangeable < former.Filters.Count ? $"it has the filter {former.Filters[exchangeable].Name}"
            : former.ReadOnly || DeviceInventory.Find(former.Id!.Value)?.ReadOnly == true ? "it is read-only"
            : null;
    }

    /// <summary>A disk with the paths that lead to it or to a file system on it.</summary>
    public static IEnumerable<(int Id, string Place)> PlacesOf(int id) =>
        (DeviceInventory.Find(id)?.MountPoints ?? []).Append($"/dev/ublkb{id}").Select(place => (id, place));

    /// <summary>Refuses a file on a disk whose requests wait: its own requests would, too.</summary>
    /// <param name="path">The file, which need not exist, or a block device.</param>
    /// <param name="held">The disks, each with a path to it or to a file system on it.</param>
    /// <param name="remedy">What to do about it.</param>
    /// <exception cref="UblkException">It is on one of them.</exception>
    public static void RequireElsewhere(string path, IEnumerable<(int Id, string Place)> held, string remedy)
    {
        if ((FileIdentity.Of(path) ?? FileIdentity.Of(Path.GetDirectoryName(Path.GetFullPath(path)))) is not { } file)
        {
            return;
        }

        foreach ((int id, string place) in held)
        {
            if (DiskStack.IsOn(file.Major, file.Minor, id)
                || (FileIdentity.Of(place) is { } disk && (disk.Major, disk.Minor) == (file.Major, file.Minor)))
            {
                throw new UblkException(UblkError.InvalidArgument, $"{path} is on the disk of device {id} itself. {remedy}",
                    operation: "snapshot", deviceId: id);
            }
        }
    }
}
