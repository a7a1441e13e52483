using Ublk.Files;
using Ublk.Specification;

namespace Ublk.Launching;

/// <summary>The place that a disk is moved to.</summary>
internal sealed record MoveDestination
{
    private readonly Func<DeviceSpecification, DeviceSpecification> _specify;

    private MoveDestination(string name, Func<DeviceSpecification, DeviceSpecification> specify) => (Name, _specify) = (name, specify);

    /// <summary>The place, for messages.</summary>
    public string Name { get; }

    /// <summary>The path of a file or a block device; null where it has none.</summary>
    public string? Path { get; private init; }

    /// <summary>The format of a file that is to be created; null where the place is there, and its content is overwritten.</summary>
    public ImageFormat? NewFormat { get; private init; }

    /// <summary>A new file, or a block device, which is overwritten.</summary>
    /// <param name="path">The absolute path.</param>
    /// <param name="format">The format; a block device is always raw.</param>
    public static MoveDestination At(string path, ImageFormat format)
    {
        bool isBlockDevice = FileIdentity.Of(path) is { IsBlockDevice: true };
        return isBlockDevice && format != ImageFormat.Raw
            ? throw new UblkException(UblkError.NotSupported,
                $"{path} is a block device, which gets the bytes of the disk. Leave out -Format.", operation: "move")
            : new MoveDestination(path, former => NextDisk.Specify(former, path, format))
            {
                Path = path,
                NewFormat = isBlockDevice ? null : format,
            };
    }

    /// <summary>A disk of a target that is not a file; it is overwritten.</summary>
    /// <param name="target">The name of the target.</param>
    /// <param name="options">The options of the disk.</param>
    public static MoveDestination Of(string target, IReadOnlyDictionary<string, string> options) =>
        new($"the disk of the target {target}", former => former with { Target = target, Options = options });

    /// <summary>Describes a device with this place as its disk, which no other program may have.</summary>
    public DeviceSpecification Specify(DeviceSpecification former) => _specify(former) with { IgnoreLock = false };
}
