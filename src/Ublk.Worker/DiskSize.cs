using Ublk.Catalog;
using Ublk.Devices;
using Ublk.Lifecycle;
using Ublk.Logging;
using Ublk.Specification;
using Ublk.Targets;

namespace Ublk.Worker;

/// <summary>Changes of size while a worker serves the disk, each in a process of its own.</summary>
internal static class DiskSize
{
    /// <summary>Gives a disk the size of what is behind it, unless it would lose its end.</summary>
    public static void Adopt(int id)
    {
        try
        {
            DeviceResizer.Resize(id, size: null, allowShrink: false, AppContext.BaseDirectory, step: null, CancellationToken.None);
        }
        catch (UblkException exception)
        {
            new Log(id).Write(LogLevel.Warning, $"device {id} keeps its size: {exception.Message}");
        }
    }

    /// <summary>Changes the size of what is behind a disk.</summary>
    /// <exception cref="UblkException">It cannot have this size.</exception>
    public static void ResizeStorage(int id, long size)
    {
        DeviceSpecification specification = StateDirectory.Own.TryRead(id)?.Specification
            ?? throw new UblkException(UblkError.DeviceNotFound, $"Device {id} has no record.", deviceId: id);
        TargetCatalog.Find(specification.Target).ResizeStorage!(new TargetOptions(specification.Options), size);
    }
}
