using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using Ublk.Catalog;

namespace Ublk.PowerShell;

/// <summary>Completes the names of the filters.</summary>
public sealed class FilterNameCompleter : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        FilterCatalog.All
            .Where(filter => filter.Name.StartsWith(wordToComplete, StringComparison.OrdinalIgnoreCase))
            .Select(filter => new CompletionResult(filter.Name, filter.Name, CompletionResultType.ParameterValue, filter.Summary));
}
