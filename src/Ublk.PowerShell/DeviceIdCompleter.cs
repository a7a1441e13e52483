using System.Collections;
using System.Globalization;
using System.Management.Automation;
using System.Management.Automation.Language;
using Ublk.Devices;

namespace Ublk.PowerShell;

/// <summary>Completes the ids of the devices there are.</summary>
public sealed class DeviceIdCompleter : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        DeviceInventory.List()
            .Select(device => (Id: device.Id.ToString(CultureInfo.InvariantCulture), Device: device))
            .Where(item => item.Id.StartsWith(wordToComplete, StringComparison.Ordinal))
            .Select(item => new CompletionResult(
                item.Id, item.Id, CompletionResultType.ParameterValue,
                $"{item.Device.DevicePath} {item.Device.Target} {item.Device.BackingPath}".TrimEnd()));
}
