using System.Management.Automation;
using Ublk.Catalog;
using Ublk.Filters;

namespace Ublk.PowerShell.Commands;

/// <summary>Gets the filters and their options.</summary>
[Cmdlet(VerbsCommon.Get, "UblkFilter")]
[OutputType(typeof(UblkFilterDefinition))]
public sealed class GetUblkFilterCommand : UblkCommand
{
    /// <summary>Filters by name; all by default.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true)]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(FilterNameCompleter))]
    public string[] Name { get; set; } = ["*"];

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (string name in Name)
        {
            Attempt(name, () => Write(name));
        }
    }

    private void Write(string name)
    {
        WildcardPattern pattern = new(name, WildcardOptions.IgnoreCase);
        FilterDefinition[] found = WildcardPattern.ContainsWildcardCharacters(name)
            ? [.. FilterCatalog.All.Where(filter => pattern.IsMatch(filter.Name))]
            : [FilterCatalog.Find(name)];

        // Without what the engine alone needs.
        WriteObject(
            found.Select(filter => new UblkFilterDefinition(filter.Name, filter.Summary, filter.Options)), enumerateCollection: true);
    }
}
