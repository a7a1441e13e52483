using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using Ublk.Devices;

namespace Ublk.PowerShell;

/// <summary>Completes the paths of the devices there are; where none fits, PowerShell completes files.</summary>
public sealed class DevicePathCompleter : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        DeviceInventory.List()
            .SelectMany(device => new[] { device.Symlink, device.DevicePath, device.BackingPath })
            .OfType<string>()
            .Where(path => path.StartsWith(wordToComplete.Trim('\'', '"'), StringComparison.Ordinal))
            .Select(path => new CompletionResult(CompletionText.Quote(path), path, CompletionResultType.ParameterValue, path));
}
