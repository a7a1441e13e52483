using System.Numerics;
using Ublk.Interop;
using Ublk.Targets;

namespace Ublk.Serving;

/// <summary>What the driver is told of a disk: the target's geometry, with what the user chose.</summary>
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
            throw Invalid($"LogicalBlockSize must be at least {geometry.LogicalBlockSize} here, not {logical}: "
                + "the storage behind the disk takes no smaller requests.");
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
                | (geometry.VolatileCache && !readOnly ? UblkAbi.AttrVolatileCache | UblkAbi.AttrFua : 0),
            LogicalBlockShift = Log2(logical),
            PhysicalBlockShift = Log2(physical),
            IoMinimalShift = Log2(physical),
            MaxSectors = (uint)specification.MaxIoSize >> UblkAbi.SectorShift,
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

    /// <summary>Has the kernel align the clients' own memory as the storage wants it, for requests that nobody copies.</summary>
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
