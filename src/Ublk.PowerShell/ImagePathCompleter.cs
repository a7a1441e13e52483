using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;

namespace Ublk.PowerShell;

/// <summary>Completes the images in a folder, and folders; where none matches, any file.</summary>
public sealed class ImagePathCompleter : IArgumentCompleter
{
    private static readonly string[] Extensions = [".img", ".raw", ".iso", ".qcow2", ".qcow", ".bin", ".disk"];

    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters)
    {
        string word = wordToComplete.Trim('\'', '"');
        string typed = word[..(word.LastIndexOf('/') + 1)];
        DirectoryInfo folder = new(Resolve(typed));
        if (!folder.Exists)
        {
            return [];
        }

        FileSystemInfo[] all =
        [
            .. folder.EnumerateFileSystemInfos($"{word[typed.Length..]}*", new EnumerationOptions { IgnoreInaccessible = true })
                .OrderBy(entry => entry.Name, StringComparer.Ordinal),
        ];
        FileSystemInfo[] likely = Array.FindAll(
            all, entry => entry is DirectoryInfo || Extensions.Contains(entry.Extension, StringComparer.OrdinalIgnoreCase));

        // PowerShell does not complete by itself what a completer finds nothing for.
        return (likely.Length > 0 ? likely : all).Select(entry => Describe(typed, entry));
    }

    private static string Resolve(string folder)
    {
        if (folder.StartsWith("~/", StringComparison.Ordinal))
        {
            return Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), folder[2..]);
        }

        if (folder.StartsWith('/'))
        {
            return folder;
        }

        using System.Management.Automation.PowerShell shell = System.Management.Automation.PowerShell.Create(RunspaceMode.CurrentRunspace);
        return Path.Combine(shell.AddScript("$PWD.ProviderPath").Invoke<string>().FirstOrDefault() ?? "/", folder);
    }

    private static CompletionResult Describe(string folder, FileSystemInfo entry) => entry is FileInfo file
        ? new CompletionResult(
            CompletionText.Quote(folder + entry.Name), entry.Name, CompletionResultType.ProviderItem, $"{entry.FullName} ({HumanSize.Format(file.Length)})")
        : new CompletionResult(
            CompletionText.Quote(folder + entry.Name), entry.Name, CompletionResultType.ProviderContainer, entry.FullName);
}
