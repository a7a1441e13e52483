using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using Ublk.Catalog;

namespace Ublk.PowerShell;

/// <summary>
/// Completes the names of filters, with an equals sign where a value has to follow; and then the names of further options.
/// </summary>
public sealed class FilterCompleter : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters)
    {
        string word = CompletionText.Unquote(wordToComplete);
        int last = word.LastIndexOf(';');
        return last < 0 ? Names(word) : Options(word[..(last + 1)], word[(last + 1)..]);
    }

    private static IEnumerable<CompletionResult> Names(string word) =>
        from filter in FilterCatalog.All
        where filter.Name.StartsWith(word, StringComparison.OrdinalIgnoreCase)
        let needsValue = filter.Options.Any(option => option.IsMandatory && option.Name == filter.Name)
        select new CompletionResult(needsValue
            ? $"{filter.Name}="
            : filter.Name, filter.Name, CompletionResultType.ParameterValue, filter.Summary);

    private static IEnumerable<CompletionResult> Options(string before, string word) =>
        from option in FilterCatalog.TryFind(before.Split(';', '=')[0])?.Options ?? []
        where option.Name.StartsWith(word, StringComparison.OrdinalIgnoreCase)
            && !before.Contains($"{option.Name}=", StringComparison.OrdinalIgnoreCase)
        select new CompletionResult($"'{before}{option.Name}=", option.Name, CompletionResultType.ParameterValue, option.Help);
}
