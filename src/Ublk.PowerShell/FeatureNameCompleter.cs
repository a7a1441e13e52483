using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using Ublk.Control;

namespace Ublk.PowerShell;

/// <summary>Completes the names of the driver's features.</summary>
public sealed class FeatureNameCompleter : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        FeatureCatalog.Names
            .Where(name => name.StartsWith(wordToComplete, StringComparison.OrdinalIgnoreCase))
            .Select(name => new CompletionResult(name));
}
