using System.Collections;
using System.Globalization;
using System.Management.Automation;
using System.Management.Automation.Language;
using Ublk.Images;

namespace Ublk.PowerShell;

/// <summary>Completes the names of the snapshots in the image that the command line names.</summary>
public sealed class SnapshotCompleter : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters)
    {
        string word = wordToComplete.Trim('\'', '"');
        return Snapshots((fakeBoundParameters["Path"] ?? fakeBoundParameters["LiteralPath"])?.ToString())
            .Where(snapshot => snapshot.Name.StartsWith(word, StringComparison.Ordinal))
            .Select(snapshot => new CompletionResult(
                CompletionText.Quote(snapshot.Name), snapshot.Name, CompletionResultType.ParameterValue,
                string.Create(CultureInfo.CurrentCulture, $"{snapshot.Id}: {snapshot.Created:g}")));
    }

    private static IReadOnlyList<UblkImageSnapshot> Snapshots(string? path)
    {
        if (path is null)
        {
            return [];
        }

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
