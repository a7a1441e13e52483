using System.Globalization;
using Ublk.Images;

namespace Ublk.PowerShell;

/// <summary>Completes the names of the snapshots in the image that the command line names.</summary>
public sealed class SnapshotCompleter : ImagePartCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Name, string Description)> Read(string image) =>
        from snapshot in ImageInspector.Snapshots(image)
        select (snapshot.Name, string.Create(CultureInfo.CurrentCulture, $"{snapshot.Id}: {snapshot.Created:g}"));
}
