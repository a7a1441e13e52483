using System.Management.Automation;
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

    /// <summary>A text as a parameter that takes wildcards needs it to mean that text alone.</summary>
    public static string QuotePattern(string text) => Quote(WildcardPattern.Escape(text));

    /// <summary>The text of a word that is being typed, whose closing quote may be missing.</summary>
    public static string Unquote(string word) => word.StartsWith('\'')
        ? word.Trim('\'').Replace("''", "'", StringComparison.Ordinal)
        : word.Trim('"');
}
