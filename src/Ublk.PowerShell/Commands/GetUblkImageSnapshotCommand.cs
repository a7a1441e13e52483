using System.Management.Automation;
using Ublk.Images;

namespace Ublk.PowerShell.Commands;

/// <summary>Shows the snapshots inside images.</summary>
[Cmdlet(VerbsCommon.Get, "UblkImageSnapshot", DefaultParameterSetName = "Path")]
[OutputType(typeof(UblkImageSnapshot))]
public sealed class GetUblkImageSnapshotCommand : UblkImagePathCommand
{
    /// <summary>Snapshots by name or id.</summary>
    [Parameter(Position = 1)]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(SnapshotCompleter))]
    public string[] Name { get; set; } = ["*"];

    /// <inheritdoc/>
    protected override void Process(string image)
    {
        IReadOnlyList<UblkImageSnapshot> snapshots = ImageInspector.Snapshots(image);
        foreach (string name in Name)
        {
            Attempt(name, () => Write(image, name, snapshots));
        }
    }

    private void Write(string image, string name, IReadOnlyList<UblkImageSnapshot> snapshots)
    {
        WildcardPattern pattern = new(name);
        UblkImageSnapshot[] found = [.. snapshots.Where(snapshot => pattern.IsMatch(snapshot.Name) || snapshot.Id == name)];
        if (found.Length == 0 && !WildcardPattern.ContainsWildcardCharacters(name))
        {
            throw new UblkException(UblkError.SnapshotNotFound,
                $"{image} has no snapshot '{name}'. Get-UblkImageSnapshot without a name shows those it has.");
        }

        WriteObject(found, enumerateCollection: true);
    }
}
