using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;

namespace Ublk.PowerShell;

/// <summary>Completes the paths of image files, by their extensions, and of folders; where none fits, PowerShell completes files.</summary>
public sealed class ImagePathCompleter : IArgumentCompleter
{
    private static readonly string[] s_extensions = [".qcow2", ".qcow", ".raw", ".img", ".iso"];

    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters)
    {
        CompletionResult[] files = [.. CompletionCompleters.CompleteFilename(wordToComplete)];
        bool hasImages = files.Any(IsImage);
        return hasImages ? files.Where(file => IsImage(file) || file.ResultType == CompletionResultType.ProviderContainer) : files;
    }

    private static bool IsImage(CompletionResult file) =>
        file.ResultType == CompletionResultType.ProviderItem
        && s_extensions.Contains(Path.GetExtension(file.ListItemText), StringComparer.OrdinalIgnoreCase);
}
