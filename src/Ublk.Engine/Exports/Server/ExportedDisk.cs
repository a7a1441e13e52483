using Ublk.Targets;
using Ublk.Targets.Nbd;

namespace Ublk.Exports.Server;

/// <summary>What is exported: a target, its name, and what can be asked about it.</summary>
/// <param name="name">The export's name.</param>
/// <param name="target">What answers the requests; owned by this object.</param>
/// <param name="contexts">What clients can query; owned by this object.</param>
internal sealed class ExportedDisk(string name, BlockTarget target, IReadOnlyList<MetadataContext> contexts) : IDisposable
{
    /// <summary>The export's name.</summary>
    public string Name => name;

    /// <summary>What answers the requests.</summary>
    public BlockTarget Target => target;

    /// <summary>What can be asked about it; a client names one by its index.</summary>
    public IReadOnlyList<MetadataContext> Contexts => contexts;

    /// <summary>Bytes.</summary>
    public long Size => target.Geometry.Size;

    /// <summary>The smallest unit of a request: reads can begin anywhere, since the server reads whole blocks.</summary>
    public int MinBlock => target.Geometry.ReadOnly ? 1 : target.Geometry.LogicalBlockSize;

    /// <summary>The unit that the storage prefers.</summary>
    public int PreferredBlock => int.Max(4096, target.Geometry.PhysicalBlockSize);

    /// <summary>Bytes of data in a request at most.</summary>
    public int MaxPayload => int.Min((int)NbdProtocol.DefaultMaxPayload, target.Geometry.MaxIoSize);

    /// <summary>What clients may ask for. All of them share the target, so that a flush of one covers the writes of all.</summary>
    /// <param name="form">The headers that were agreed on.</param>
    public NbdExportFlags FlagsFor(NbdHeaderForm form)
    {
        TargetGeometry geometry = target.Geometry;
        NbdExportFlags flags = NbdExportFlags.HasFlags | NbdExportFlags.CanMultiConn
            | (geometry.IsRotational ? NbdExportFlags.Rotational : 0)
            | (form == NbdHeaderForm.Simple ? 0 : NbdExportFlags.SendDontFragment);
        return geometry.ReadOnly
            ? flags | NbdExportFlags.ReadOnly
            : flags | NbdExportFlags.SendFlush | NbdExportFlags.SendFua
                | (geometry.DiscardGranularity > 0 ? NbdExportFlags.SendTrim : 0)
                | (geometry.WriteZeroes ? NbdExportFlags.SendWriteZeroes : 0);
    }

    /// <summary>Whether a client means this export: by its name, or as the default one.</summary>
    public bool IsNamed(string wanted) => wanted.Length == 0 || wanted == name;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (MetadataContext context in contexts)
        {
            context.Dispose();
        }

        target.Dispose();
    }
}
