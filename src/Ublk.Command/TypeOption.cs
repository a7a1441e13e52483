using System.CommandLine;
using Ublk.Catalog;

namespace Ublk.CommandLine;

/// <summary>The option that names a target.</summary>
internal static class TypeOption
{
    /// <summary>The option <c>-t</c>.</summary>
    public static Option<string?> Create(string description)
    {
        Option<string?> option = new("--type", "-t") { Description = description, HelpName = "TYPE" };
        option.CompletionSources.Add([.. TargetCatalog.All.Select(target => target.Name.ToLowerInvariant())]);
        return option;
    }
}
