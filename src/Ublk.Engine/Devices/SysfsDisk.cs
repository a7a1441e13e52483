using System.Globalization;
using Ublk.Files;
using Ublk.Interop;

namespace Ublk.Devices;

/// <summary>The public attributes of a block device in sysfs; null where there is no disk.</summary>
internal readonly struct SysfsDisk(int id)
{
    private readonly string _root = $"/sys/block/ublkb{id}";

    /// <summary>Size in bytes.</summary>
    public long? Size => ReadNumber("size") << UblkAbi.SectorShift;

    /// <summary>Whether the disk refuses writes.</summary>
    public bool? ReadOnly => ReadNumber("ro") is { } flag ? flag != 0 : null;

    /// <summary>Logical block size in bytes.</summary>
    public int? LogicalBlockSize => (int?)ReadNumber("queue/logical_block_size");

    /// <summary>Physical block size in bytes.</summary>
    public int? PhysicalBlockSize => (int?)ReadNumber("queue/physical_block_size");

    /// <summary>The greatest request in bytes.</summary>
    public int? MaxIoSize => (int?)(ReadNumber("queue/max_hw_sectors_kb") << 10);

    /// <summary>The number of hardware queues.</summary>
    public int? QueueCount => KernelFiles.List($"{_root}/mq") is { Count: > 0 } queues ? queues.Count : null;

    /// <summary>Major and minor number, as <c>259:0</c>.</summary>
    public string? DeviceNumber => KernelFiles.Read($"{_root}/dev");

    private long? ReadNumber(string name) =>
        long.TryParse(KernelFiles.Read($"{_root}/{name}"), NumberStyles.None, CultureInfo.InvariantCulture, out long number)
            ? number
            : null;
}
