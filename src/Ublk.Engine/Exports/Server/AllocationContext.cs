using Ublk.Images.Content;
using Ublk.Qcow2.Format;
using Ublk.Targets.Nbd;

namespace Ublk.Exports.Server;

/// <summary>Which ranges of an image have data: the context base:allocation.</summary>
/// <param name="content">The image, which is not written; owned by this object.</param>
internal sealed class AllocationContext(ImageContent content) : MetadataContext("base:allocation")
{
    /// <inheritdoc/>
    public override IEnumerable<MetadataExtent> Describe(long start, long end)
    {
        long inside = long.Min(end, content.Size);
        foreach (ContentExtent extent in start < inside ? content.Map(start, inside) : [])
        {
            bool hasData = extent.Kind is ExtentKind.Data or ExtentKind.Compressed;
            yield return Of(extent.Length, hasData ? NbdAllocation.Data : NbdAllocation.Hole | NbdAllocation.Zero);
        }

        // The rest of the last block.
        if (long.Max(start, inside) is var rest && rest < end)
        {
            yield return Of(end - rest, NbdAllocation.Hole | NbdAllocation.Zero);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        content.Dispose();
        base.Dispose(disposing);
    }

    private static MetadataExtent Of(long length, NbdAllocation allocation) => new(length, (uint)allocation);
}
