using System.Numerics;
using Ublk.Control;
using Ublk.Interop;
using Ublk.Specification;
using Ublk.Targets;

namespace Ublk.Serving;

/// <summary>The driver's parameters of a disk: the target's geometry, with the user's choices.</summary>
internal static class DeviceParameters
{
    // 2 GiB: a range of more bytes than 32 bits hold could not be asked for in one request anyway.
    private const uint MaxRangeSectors = 1u << 22;

    /// <summary>Combines geometry and choice.</summary>
    /// <exception cref="UblkException">They contradict each other.</exception>
    public static UblkParameters Create(DeviceSpecification specification, TargetGeometry geometry)
    {
        int logical = specification.LogicalBlockSize ?? geometry.LogicalBlockSize;
        if (logical < geometry.LogicalBlockSize)
        {
            throw Invalid($"LogicalBlockSize must be at least {geometry.LogicalBlockSize}, not {logical}: "
                + "the storage does not support smaller requests.");
        }

        if (geometry.Size < logical)
        {
            throw Invalid($"The disk would have {geometry.Size} bytes, less than one block of {logical}.");
        }

        int physical = specification.PhysicalBlockSize ?? int.Max(geometry.PhysicalBlockSize, logical);
        if (physical < logical)
        {
            throw Invalid($"PhysicalBlockSize ({physical}) must not be smaller than the logical block size ({logical}).");
        }

        if (specification.MaxIoSize < logical)
        {
            throw Invalid($"MaxIoSize ({specification.MaxIoSize}) must not be smaller than the logical block size ({logical}).");
        }

        bool readOnly = geometry.ReadOnly || specification.ReadOnly;
        UblkParameters parameters = new()
        {
            Types = UblkAbi.ParamBasic,
            Attributes = (readOnly ? UblkAbi.AttrReadOnly : 0)
                | (geometry.IsRotational ? UblkAbi.AttrRotational : 0)
                | (geometry.VolatileCache && !readOnly ? UblkAbi.AttrVolatileCache : 0)
                | (geometry.VolatileCache && geometry.ForceUnitAccess && !readOnly ? UblkAbi.AttrFua : 0),
            LogicalBlockShift = Log2(logical),
            PhysicalBlockShift = Log2(physical),
            IoMinimalShift = Log2(physical),
            MaxSectors = (uint)int.Min(specification.MaxIoSize, geometry.MaxIoSize) >> UblkAbi.SectorShift,
            DeviceSectors = (ulong)(geometry.Size / logical * logical) >> UblkAbi.SectorShift,
        };
        if (!readOnly && (geometry.DiscardGranularity > 0 || geometry.WriteZeroes))
        {
            AddDiscard(ref parameters, geometry);
        }

        unsafe
        {
            parameters.Length = (uint)sizeof(UblkParameters);
        }

        return parameters;
    }

    /// <summary>Why storage does not give a disk all that its users were promised when it was made.</summary>
    /// <remarks>More is fine: the disk stays as it is. The physical block size is a hint, and so is each discard.</remarks>
    /// <param name="disk">The disk's parameters, as the driver has them.</param>
    /// <param name="flags">The features that the device was made with.</param>
    /// <param name="readOnly">Whether a new worker would refuse writes, whatever the storage can.</param>
    /// <param name="target">What would answer the requests.</param>
    /// <returns>A sentence's end that follows the disk's name; null where storage gives it.</returns>
    public static string? WhyNotKept(in UblkParameters disk, UblkFeatures flags, bool readOnly, BlockTarget target)
    {
        TargetGeometry storage = target.Geometry;
        long size = (long)disk.DeviceSectors << UblkAbi.SectorShift;
        int block = 1 << disk.LogicalBlockShift;
        bool isWritable = (disk.Attributes & UblkAbi.AttrReadOnly) == 0;
        bool hasDiscard = (disk.Types & UblkAbi.ParamDiscard) != 0;

        // What the kernel aligns to without a word from the server (block/blk-settings.c).
        uint alignmentMask = (disk.Types & UblkAbi.ParamDmaAlign) != 0 ? disk.DmaAlignmentMask : (1 << UblkAbi.SectorShift) - 1;
        bool isZeroCopy = flags.HasFlag(UblkFeatures.SupportZeroCopy);
        return size > storage.Size ? $"has {size} bytes, but the storage has only {storage.Size} now. Restore its size first"
            : storage.LogicalBlockSize > block ? $"takes blocks of {block} bytes, but the storage takes none smaller than "
                + $"{storage.LogicalBlockSize} now"
            : isWritable && (storage.ReadOnly
                || readOnly) ? "can be written, but the storage can be opened only for reading now. Make it writable first"
            : disk.MaxSectors > storage.MaxIoSize >> UblkAbi.SectorShift
                ? $"has requests of {(long)disk.MaxSectors << UblkAbi.SectorShift} bytes, but the storage takes at most "
                    + $"{storage.MaxIoSize} now"
            : isWritable && storage.VolatileCache && (disk.Attributes & UblkAbi.AttrVolatileCache) == 0
                ? "sends no flush, but the storage now has a volatile cache"
            : hasDiscard && disk.MaxDiscardSectors > 0 && storage.DiscardGranularity == 0
                ? "discards ranges, but the storage does not support this"
            : hasDiscard && disk.MaxWriteZeroesSectors > 0 && !storage.WriteZeroes
                ? "zeroes ranges, but the storage does not support this"
            : isZeroCopy && storage.MemoryAlignment - 1 > alignmentMask
                ? $"aligns memory to {alignmentMask + 1} bytes, but the storage needs {storage.MemoryAlignment} now"
            : isZeroCopy && !target.ForwardsData ? "uses zero copy, but the target does not support it"
            : null;
    }

    /// <summary>Has the kernel align the clients' own memory as the storage requires it, for requests without a copy.</summary>
    public static void AlignClients(ref UblkParameters parameters, TargetGeometry geometry)
    {
        if (geometry.MemoryAlignment > 1)
        {
            parameters.Types |= UblkAbi.ParamDmaAlign;
            parameters.DmaAlignmentMask = (uint)geometry.MemoryAlignment - 1;
        }
    }

    // The driver takes no discard parameters without a granularity, even where only zeroing is offered.
    private static void AddDiscard(ref UblkParameters parameters, TargetGeometry geometry)
    {
        parameters.Types |= UblkAbi.ParamDiscard;
        parameters.DiscardGranularity = (uint)int.Max(geometry.DiscardGranularity, 1 << parameters.LogicalBlockShift);
        parameters.MaxDiscardSectors = geometry.DiscardGranularity > 0 ? MaxRangeSectors : 0;
        parameters.MaxDiscardSegments = 1;
        parameters.MaxWriteZeroesSectors = geometry.WriteZeroes ? MaxRangeSectors : 0;
    }

    private static byte Log2(int value) => (byte)BitOperations.Log2((uint)value);

    private static UblkException Invalid(string message) => new(UblkError.InvalidArgument, message);
}
