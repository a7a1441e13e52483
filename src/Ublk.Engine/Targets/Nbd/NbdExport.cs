namespace Ublk.Targets.Nbd;

/// <summary>An export as its server describes it.</summary>
/// <param name="Size">Its size in bytes.</param>
/// <param name="Flags">What it can.</param>
/// <param name="MinBlock">The unit of requests in bytes.</param>
/// <param name="PreferredBlock">The unit that the server prefers, in bytes.</param>
/// <param name="MaxPayload">The most bytes of data in a request.</param>
/// <param name="Headers">The headers of requests and replies.</param>
internal sealed record NbdExport(
    long Size, NbdExportFlags Flags, uint MinBlock, uint PreferredBlock, uint MaxPayload, NbdHeaderForm Headers)
{
    /// <summary>Whether it can something.</summary>
    public bool Has(NbdExportFlags flag) => Flags.HasFlag(NbdExportFlags.HasFlags | flag);
}
