using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using Ublk.Registration;

namespace Ublk.PowerShell;

/// <summary>Completes the names of the registered devices.</summary>
public sealed class RegistrationCompleter : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        DeviceRegistrar.List()
            .Where(registration => registration.Name.StartsWith(wordToComplete, StringComparison.Ordinal))
            .Select(registration => new CompletionResult(
                registration.Name, registration.Name, CompletionResultType.ParameterValue,
                $"{registration.Unit} {registration.Target} {registration.BackingPath}".TrimEnd()));
}
