using Ublk.Targets;

namespace Ublk.Filters;

/// <summary>Shows one partition of the disk behind it, which it looks up once.</summary>
internal static class PartitionFilter
{
    /// <summary>The catalogue's entry.</summary>
    public static FilterDefinition Definition { get; } = new(
        "Partition",
        "Exposes one partition of the disk below.",
        [new TargetOption("Partition", TargetOptionKind.Number, "The partition's number, from 1.", IsMandatory: true)],
        (inner, options) => Open(inner, options.GetNumber("Partition")!.Value, options.LogicalBlockSize ?? 0));

    private static OffsetFilter Open(BlockTarget inner, long number, int logicalBlockSize)
    {
        TargetGeometry disk = inner.Geometry;
        PartitionTable table = new(new TargetClient(inner).Read, disk.Size, int.Max(disk.LogicalBlockSize, logicalBlockSize));
        (long start, long length) = table.Find(number);
        return new OffsetFilter(inner, start, length);
    }
}
