using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using Ublk.Targets;

namespace Ublk.PowerShell;

/// <summary>Completes the names of the targets.</summary>
public sealed class TargetCompleter : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        Complete(KnownTargets.For(fakeBoundParameters), wordToComplete);

    /// <summary>The completions of a word among some targets.</summary>
    internal static IEnumerable<CompletionResult> Complete(IEnumerable<UblkTarget> targets, string wordToComplete) => targets
        .Where(target => target.Name.StartsWith(wordToComplete, StringComparison.OrdinalIgnoreCase))
        .Select(target => new CompletionResult(target.Name, target.Name, CompletionResultType.ParameterValue, target.Summary));
}
