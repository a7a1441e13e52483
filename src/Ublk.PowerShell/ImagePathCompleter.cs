using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;

namespace Ublk.PowerShell;

/// <summary>Completes the images in a folder, and folders; where none matches, any file.</summary>
/// <remarks>For parameters that take a path as it is.</remarks>
public class ImagePathCompleter : IArgumentCompleter
{
    private static readonly string[] Extensions = [".img", ".raw", ".iso", ".qcow2", ".qcow", ".bin", ".disk"];

    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters)
    {
        string word = CompletionText.Unquote(wordToComplete);
        string typed = word[..(word.LastIndexOf('/') + 1)];
        DirectoryInfo folder = new(Resolve(Read(typed)));
        if (!folder.Exists)
        {
            return [];
        }

        Func<string, bool> isMeant = Match(word[typed.Length..]);
        FileSystemInfo[] all =
        [
            .. folder.EnumerateFileSystemInfos("*", new EnumerationOptions { IgnoreInaccessible = true })
                .Where(entry => isMeant(entry.Name)).OrderBy(entry => entry.Name, StringComparer.Ordinal),
        ];
        FileSystemInfo[] likely = Array.FindAll(
            all, entry => entry is DirectoryInfo || Extensions.Contains(entry.Extension, StringComparer.OrdinalIgnoreCase));

        // PowerShell does not complete by itself what a completer finds nothing for.
        return (likely.Length > 0 ? likely : all).Select(entry => Describe(Quote(Read(typed) + entry.Name), entry));
    }

    /// <summary>The path that a typed text names.</summary>
    protected virtual string Read(string typed) => typed;

    /// <summary>Lists the completions of a name.</summary>
    protected virtual Func<string, bool> Match(string typed) => name => name.StartsWith(typed, StringComparison.Ordinal);

    /// <summary>A path as it stands on the command line.</summary>
    protected virtual string Quote(string path) => CompletionText.Quote(path);

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

    private static CompletionResult Describe(string text, FileSystemInfo entry) => entry is FileInfo file
        ? new CompletionResult(text, entry.Name, CompletionResultType.ProviderItem, $"{entry.FullName} ({HumanSize.Format(file.Length)})")
        : new CompletionResult(text, entry.Name, CompletionResultType.ProviderContainer, entry.FullName);
}
