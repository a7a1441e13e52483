namespace Ublk.Targets.Null;

/// <summary>Nothing: a disk of it has whatever size its options say.</summary>
internal sealed class NullStorage : DiskStorage
{
    /// <inheritdoc/>
    public override long? Size => null;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Resize(long size) => new Dictionary<string, string> { ["Size"] = $"{size}" };

    /// <inheritdoc/>
    public override void Undo()
    {
    }
}
