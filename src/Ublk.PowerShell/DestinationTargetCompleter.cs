using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using Ublk.Catalog;
using Ublk.Targets;

namespace Ublk.PowerShell;

/// <summary>Completes the names of the targets to whose disks a disk can be moved: those that are not files.</summary>
public sealed class DestinationTargetCompleter : IArgumentCompleter
{
    /// <summary>These targets.</summary>
    internal static IEnumerable<TargetDefinition> Targets => TargetCatalog.All.Where(target => target.NeedsNetwork);

    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        Targets
            .Where(target => target.Name.StartsWith(wordToComplete, StringComparison.OrdinalIgnoreCase))
            .Select(target => new CompletionResult(target.Name, target.Name, CompletionResultType.ParameterValue, target.Summary));
}
