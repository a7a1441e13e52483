using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;

namespace Ublk.PowerShell;

/// <summary>Completes the images in a folder, and folders; where there are none, PowerShell completes any file.</summary>
public sealed class ImagePathCompleter : IArgumentCompleter
{
    private static readonly string[] Extensions = [".img", ".raw", ".iso", ".qcow2", ".bin", ".disk"];

    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        CompletionCompleters.CompleteFilename(wordToComplete).Where(result =>
            result.ResultType == CompletionResultType.ProviderContainer
            || Extensions.Contains(Path.GetExtension(result.ListItemText), StringComparer.OrdinalIgnoreCase));
}
