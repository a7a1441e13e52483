using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;

namespace Ublk.PowerShell;

/// <summary>Completes the choices of a target's option.</summary>
public sealed class ChoiceCompleter : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        KnownTargets.For(fakeBoundParameters)
            .Where(target => string.Equals(target.Name, KnownTargets.NameIn(fakeBoundParameters), StringComparison.OrdinalIgnoreCase))
            .SelectMany(target => target.Options)
            .Where(option => string.Equals(option.Name, parameterName, StringComparison.OrdinalIgnoreCase))
            .SelectMany(option => option.Choices)
            .Where(choice => choice.StartsWith(wordToComplete, StringComparison.OrdinalIgnoreCase))
            .Select(choice => new CompletionResult(choice));
}
