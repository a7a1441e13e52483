using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using Ublk.Targets;

namespace Ublk.PowerShell;

/// <summary>Completes the choices of a target's option, and what it finds itself.</summary>
public sealed class ChoiceCompleter : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        KnownTargets.For(fakeBoundParameters)
            .Where(target => string.Equals(target.Name, KnownTargets.NameIn(fakeBoundParameters), StringComparison.OrdinalIgnoreCase))
            .SelectMany(target => target.Options)
            .Where(option => string.Equals(option.Name, parameterName, StringComparison.OrdinalIgnoreCase))
            .SelectMany(option => Complete(option, CompletionText.Unquote(wordToComplete)))
            .Select(choice => new CompletionResult(CompletionText.Quote(choice), choice, CompletionResultType.ParameterValue, choice));

    private static IEnumerable<string> Complete(TargetOption option, string word) => option.Choices
        .Where(choice => choice.StartsWith(word, StringComparison.OrdinalIgnoreCase))
        .Concat(option.FindCompletions?.Invoke(word) ?? []);
}
