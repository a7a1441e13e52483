using System.Collections;
using System.Globalization;
using System.Management.Automation;
using System.Management.Automation.Language;
using Ublk.Images;
using Ublk.PowerShell.Commands;

namespace Ublk.PowerShell;

/// <summary>Completes the names of the snapshots in the image that the command line names.</summary>
public sealed class SnapshotCompleter : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters)
    {
        // Get-UblkImageSnapshot expands wildcards in -Path and -Name; the other cmdlets take -Path and -Snapshot as they are.
        bool expandsWildcards = parameterName == nameof(GetUblkImageSnapshotCommand.Name);
        string word = CompletionText.Unquote(wordToComplete);
        string start = expandsWildcards ? WildcardPattern.Unescape(word) : word;
        string? path = First(fakeBoundParameters["LiteralPath"]);
        if (path is null && First(fakeBoundParameters["Path"]) is { } typed)
        {
            path = expandsWildcards ? WildcardPattern.Unescape(typed) : typed;
        }

        return
            from snapshot in path is null ? [] : Snapshots(path)
            where snapshot.Name.StartsWith(start, StringComparison.Ordinal)
            select new CompletionResult(
                expandsWildcards ? CompletionText.QuotePattern(snapshot.Name) : CompletionText.Quote(snapshot.Name),
                snapshot.Name, CompletionResultType.ParameterValue,
                string.Create(CultureInfo.CurrentCulture, $"{snapshot.Id}: {snapshot.Created:g}"));
    }

    private static string? First(object? value) => (value is object[] values ? values.FirstOrDefault() : value)?.ToString();

    private static IReadOnlyList<UblkImageSnapshot> Snapshots(string path)
    {
        using System.Management.Automation.PowerShell shell = System.Management.Automation.PowerShell.Create(RunspaceMode.CurrentRunspace);
        try
        {
            string file = shell.AddScript("$ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($args[0])")
                .AddArgument(path).Invoke<string>()[0];
            return ImageInspector.Snapshots(file);
        }
        catch (Exception exception) when (exception is UblkException or RuntimeException)
        {
            return [];
        }
    }
}
