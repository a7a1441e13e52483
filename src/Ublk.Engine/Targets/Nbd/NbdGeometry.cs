namespace Ublk.Targets.Nbd;

/// <summary>What a disk is like, from the export behind it.</summary>
internal static class NbdGeometry
{
    private const int SectorSize = 512;

    private const NbdExportFlags NeededFlags = NbdExportFlags.HasFlags | NbdExportFlags.SendFlush | NbdExportFlags.SendFua
        | NbdExportFlags.SendTrim | NbdExportFlags.SendWriteZeroes | NbdExportFlags.CanMultiConn;

    // A hint that the kernel rounds requests to; larger ones would only cost.
    private const uint LargestPreferred = 1 << 20;

    /// <summary>Looks at an export.</summary>
    /// <param name="export">The export.</param>
    /// <param name="options">What the disk is opened with; warnings are left there.</param>
    /// <param name="name">The export's URI, for messages.</param>
    /// <exception cref="UblkException">It cannot back a disk.</exception>
    public static TargetGeometry Of(NbdExport export, TargetOptions options, string name)
    {
        int logical = LogicalBlockOf(export, name);
        long size = export.Size / logical * logical;
        if (size == 0)
        {
            throw new UblkException(UblkError.InvalidBackingFile, $"{name} has {export.Size} bytes, less than one block of {logical}.");
        }

        bool readOnly = export.Has(NbdExportFlags.ReadOnly);
        if (readOnly && !options.ReadOnly)
        {
            options.Warnings.Add($"{name} is read-only, so the disk is read-only.");
        }

        // What is written there could not be kept: unlike a file, an export does not grow.
        if (size < export.Size)
        {
            options.Warnings.Add(
                $"{name} has {export.Size} bytes, not a multiple of {logical}: the last {export.Size - size} bytes are not part of "
                    + "the disk.");
        }

        readOnly |= options.ReadOnly;
        int preferred = (int)uint.Clamp(uint.IsPow2(export.PreferredBlock) ? export.PreferredBlock : 0, (uint)logical, LargestPreferred);
        return new TargetGeometry
        {
            Size = size,
            LogicalBlockSize = logical,
            PhysicalBlockSize = preferred,
            MaxIoSize = MaxIoSizeOf(export, name),
            ReadOnly = readOnly,
            IsRotational = export.Has(NbdExportFlags.Rotational),
            VolatileCache = !readOnly && export.Has(NbdExportFlags.SendFlush),
            ForceUnitAccess = export.Has(NbdExportFlags.SendFua),
            DiscardGranularity = !readOnly && export.Has(NbdExportFlags.SendTrim) ? preferred : 0,
            WriteZeroes = !readOnly && export.Has(NbdExportFlags.SendWriteZeroes),
        };
    }

    /// <summary>The reason why a disk cannot use an export as its server describes it now; null if it can.</summary>
    public static string? FindConflict(NbdExport former, NbdExport export)
    {
        NbdExportFlags missing = former.Flags & ~export.Flags & NeededFlags;
        return export.Size < former.Size ? $"it has {export.Size} bytes instead of {former.Size}"
            : missing != 0 ? $"it does not support {missing} any more"
            : export.Has(NbdExportFlags.ReadOnly) && !former.Has(NbdExportFlags.ReadOnly) ? "it is read-only"
            : export.Has(NbdExportFlags.SendFlush) && !former.Has(NbdExportFlags.SendFlush) ? "it has a volatile cache"
            : former.Headers == NbdHeaderForm.Extended && export.Headers != NbdHeaderForm.Extended
                ? "it does not support extended headers any more"
            : export.MinBlock > uint.Max(SectorSize, former.MinBlock) || !uint.IsPow2(export.MinBlock)
                ? $"its blocks have {export.MinBlock} bytes instead of {former.MinBlock}"
            : export.MaxPayload < uint.Min(former.MaxPayload, NbdProtocol.DefaultMaxPayload)
                ? $"its requests have at most {export.MaxPayload} bytes instead of {former.MaxPayload}"
            : null;
    }

    private static int LogicalBlockOf(NbdExport export, string name)
    {
        int page = Environment.SystemPageSize;
        return uint.IsPow2(export.MinBlock) && export.MinBlock <= page
            ? int.Max(SectorSize, (int)export.MinBlock)
            : throw new UblkException(UblkError.NotSupported,
                $"{name} has blocks of {export.MinBlock} bytes. The block size of a disk is a power of two from 512 to {page} bytes.");
    }

    private static int MaxIoSizeOf(NbdExport export, string name)
    {
        int page = Environment.SystemPageSize;
        int most = (int)uint.Min(export.MaxPayload, NbdProtocol.DefaultMaxPayload) / page * page;
        return most > 0
            ? most
            : throw new UblkException(UblkError.NotSupported,
                $"{name} limits requests to {export.MaxPayload} bytes. A disk needs at least {page}.");
    }
}
