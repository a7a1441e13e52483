using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using Ublk.Devices;

namespace Ublk.PowerShell;

/// <summary>Completes the names of the devices.</summary>
public sealed class DeviceNameCompleter : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        DeviceInventory.List()
            .Where(device => device.Name?.StartsWith(wordToComplete, StringComparison.Ordinal) == true)
            .Select(device => new CompletionResult(
                device.Name, device.Name, CompletionResultType.ParameterValue,
                $"{device.DevicePath} {device.Target} {device.BackingPath}".TrimEnd()));
}
