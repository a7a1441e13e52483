using System.Management.Automation;

namespace Ublk.PowerShell;

/// <summary>Completes devices for parameters that expand wildcards: such characters in a path are escaped.</summary>
public sealed class DevicePatternCompleter : DevicePathCompleter
{
    /// <inheritdoc/>
    protected override string Read(string typed) => WildcardPattern.Unescape(typed);

    /// <inheritdoc/>
    protected override string Quote(string path) => CompletionText.QuotePattern(path);
}
