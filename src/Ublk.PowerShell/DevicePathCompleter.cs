using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using Ublk.Devices;

namespace Ublk.PowerShell;

/// <summary>
/// Completes the paths of the devices there are; where none fits, PowerShell completes files. For parameters that take a path as it is.
/// </summary>
public class DevicePathCompleter : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        DeviceInventory.List()
            .SelectMany(device => new[] { device.Symlink, device.DevicePath, device.BackingPath })
            .OfType<string>()
            .Where(path => path.StartsWith(Read(CompletionText.Unquote(wordToComplete)), StringComparison.Ordinal))
            .Select(path => new CompletionResult(Quote(path), path, CompletionResultType.ParameterValue, path));

    /// <summary>The path that a typed text names.</summary>
    protected virtual string Read(string typed) => typed;

    /// <summary>A path as it stands on the command line.</summary>
    protected virtual string Quote(string path) => CompletionText.Quote(path);
}
