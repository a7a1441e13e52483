using System.Management.Automation.Language;

namespace Ublk.PowerShell;

/// <summary>Completions as they stand on a command line.</summary>
internal static class CompletionText
{
    /// <summary>A text in quotes where it needs some.</summary>
    public static string Quote(string text) =>
        text.Length > 0 && text.All(letter => char.IsAsciiLetterOrDigit(letter) || "~/._-".Contains(letter, StringComparison.Ordinal))
            ? text
            : $"'{CodeGeneration.EscapeSingleQuotedStringContent(text)}'";
}
