using System.Management.Automation;

namespace Ublk.PowerShell;

/// <summary>Completes images for parameters that expand wildcards: such characters in a file's name are escaped.</summary>
public sealed class ImagePatternCompleter : ImagePathCompleter
{
    /// <inheritdoc/>
    protected override string Read(string typed) => WildcardPattern.Unescape(typed);

    /// <inheritdoc/>
    protected override Func<string, bool> Match(string typed) => new WildcardPattern($"{typed}*").IsMatch;

    /// <inheritdoc/>
    protected override string Quote(string path) => CompletionText.QuotePattern(path);
}
