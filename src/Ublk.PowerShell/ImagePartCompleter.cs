using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using Ublk.PowerShell.Commands;

namespace Ublk.PowerShell;

/// <summary>Completes names of what is inside the image that the command line names.</summary>
public abstract class ImagePartCompleter : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters)
    {
        // The cmdlets with -Name expand wildcards in that and in -Path; the others take -Path and the name as they are.
        bool expandsWildcards = parameterName == nameof(GetUblkImageSnapshotCommand.Name);
        string word = CompletionText.Unquote(wordToComplete);
        string start = expandsWildcards ? WildcardPattern.Unescape(word) : word;
        string? path = First(fakeBoundParameters["LiteralPath"]);
        if (path is null && First(fakeBoundParameters["Path"]) is { } typed)
        {
            path = expandsWildcards ? WildcardPattern.Unescape(typed) : typed;
        }

        return
            from part in path is null ? [] : Find(path)
            where part.Name.StartsWith(start, StringComparison.Ordinal)
            select new CompletionResult(
                expandsWildcards ? CompletionText.QuotePattern(part.Name) : CompletionText.Quote(part.Name),
                part.Name, CompletionResultType.ParameterValue, part.Description);
    }

    /// <summary>The names in an image, and a description of each.</summary>
    /// <exception cref="UblkException">The image is missing or malformed.</exception>
    protected abstract IEnumerable<(string Name, string Description)> Read(string image);

    private static string? First(object? value) => (value is object[] values ? values.FirstOrDefault() : value)?.ToString();

    private (string Name, string Description)[] Find(string path)
    {
        using System.Management.Automation.PowerShell shell = System.Management.Automation.PowerShell.Create(RunspaceMode.CurrentRunspace);
        try
        {
            string file = shell.AddScript("$ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($args[0])")
                .AddArgument(path).Invoke<string>()[0];
            return [.. Read(file)];
        }
        catch (Exception exception) when (exception is UblkException or RuntimeException)
        {
            return [];
        }
    }
}
