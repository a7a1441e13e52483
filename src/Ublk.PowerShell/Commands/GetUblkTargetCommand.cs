using System.Management.Automation;
using Ublk.Catalog;
using Ublk.Targets;

namespace Ublk.PowerShell.Commands;

/// <summary>Shows the kinds of disk there are, and their options.</summary>
[Cmdlet(VerbsCommon.Get, "UblkTarget")]
[OutputType(typeof(UblkTarget))]
public sealed class GetUblkTargetCommand : UblkCommand
{
    /// <summary>Targets by name.</summary>
    [Parameter(Position = 0)]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(TargetCompleter))]
    public string[] Name { get; set; } = ["*"];

    /// <summary>Assemblies, whose targets are shown instead of those that are built in.</summary>
    [Parameter(ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("PSPath", "FullName")]
    public string[]? Assembly { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (Assembly is null)
        {
            // Without what the engine alone needs.
            Write([.. TargetCatalog.All.Select(target => new UblkTarget(target.Name, target.Summary, target.Options))]);
        }

        foreach (string path in Assembly ?? [])
        {
            Attempt(path, () => Write(PluginCatalog.List(FilePaths.ResolveExisting(SessionState, path), WorkerDirectory)));
        }
    }

    private void Write(IReadOnlyList<UblkTarget> targets)
    {
        foreach (string name in Name)
        {
            WildcardPattern pattern = new(name, WildcardOptions.IgnoreCase);
            UblkTarget[] found = [.. targets.Where(target => pattern.IsMatch(target.Name))];
            if (found.Length == 0 && !WildcardPattern.ContainsWildcardCharacters(name))
            {
                WriteError(UblkErrorRecord.From(new UblkException(UblkError.UnknownTarget,
                    $"There is no target named '{name}'. Choose from: {string.Join(", ", targets.Select(target => target.Name))}."), name));
            }

            WriteObject(found, enumerateCollection: true);
        }
    }
}
