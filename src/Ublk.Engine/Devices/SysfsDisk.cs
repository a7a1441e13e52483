using System.Globalization;
using Ublk.Interop;

namespace Ublk.Devices;

/// <summary>What the kernel tells everybody of a block device; null where there is no disk.</summary>
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
    public int? QueueCount => List($"{_root}/mq") is { Count: > 0 } queues ? queues.Count : null;

    /// <summary>Major and minor number, as <c>259:0</c>.</summary>
    public string? DeviceNumber => Read($"{_root}/dev");

    /// <summary>A file of one line; null where it cannot be read.</summary>
    public static string? Read(string path)
    {
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The names in a folder; none where it cannot be read. A disk may go while it is looked at, and its folders with it.</summary>
    public static IReadOnlyList<string> List(string path)
    {
        try
        {
            return [.. Directory.EnumerateFileSystemEntries(path).Select(entry => Path.GetFileName(entry))];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private long? ReadNumber(string name) =>
        long.TryParse(Read($"{_root}/{name}"), NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : null;
}
