using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using Ublk.Exports;

namespace Ublk.PowerShell;

/// <summary>Completes the names of exports.</summary>
public sealed class ExportCompleter : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        ExportManager.List()
            .Where(export => export.Name.StartsWith(wordToComplete, StringComparison.Ordinal))
            .Select(export => new CompletionResult(
                export.Name, export.Name, CompletionResultType.ParameterValue, $"{export.Path} at {export.Uri}"));
}
