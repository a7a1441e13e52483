namespace Ublk.Exports.Server;

/// <summary>What a client can ask about ranges of an export, by a name of the protocol such as base:allocation.</summary>
/// <param name="name">The name.</param>
internal abstract class MetadataContext(string name) : IDisposable
{
    /// <summary>The name.</summary>
    public string Name => name;

    /// <summary>Describes a range, in order and without gaps. Callable from any thread.</summary>
    /// <param name="start">The first byte.</param>
    /// <param name="end">The byte after the last.</param>
    /// <exception cref="UblkException">What describes it cannot be read.</exception>
    public abstract IEnumerable<MetadataExtent> Describe(long start, long end);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Closes what was opened.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}

/// <summary>A range of which a context says one thing.</summary>
/// <param name="Length">Bytes.</param>
/// <param name="Flags">What it says, as the protocol numbers it.</param>
internal readonly record struct MetadataExtent(long Length, uint Flags);
