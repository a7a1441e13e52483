using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;

namespace Ublk.PowerShell;

/// <summary>Completes the numbers that options of a qcow2 image can have.</summary>
public sealed class ImageOptionCompleter : IArgumentCompleter
{
    private static readonly Dictionary<string, string[]> s_choices = new(StringComparer.OrdinalIgnoreCase)
    {
        ["Version"] = ["3", "2"],
        ["ClusterSize"] = ["512", "1KB", "2KB", "4KB", "8KB", "16KB", "32KB", "64KB", "128KB", "256KB", "512KB", "1MB", "2MB"],
        ["RefcountBits"] = ["1", "2", "4", "8", "16", "32", "64"],
    };

    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        s_choices[parameterName]
            .Where(choice => choice.StartsWith(wordToComplete, StringComparison.OrdinalIgnoreCase))
            .Select(choice => new CompletionResult(choice));
}
