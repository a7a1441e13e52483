using System.Management.Automation;
using Ublk.Registration;

namespace Ublk.PowerShell;

/// <summary>Registrations as users name them, with wildcards.</summary>
internal static class RegistrationNames
{
    /// <summary>The registrations with a name.</summary>
    /// <exception cref="UblkException">The name has no wildcards, and no registration has it.</exception>
    public static IReadOnlyList<UblkRegistration> Find(string name)
    {
        WildcardPattern pattern = new(name);
        UblkRegistration[] found = [.. DeviceRegistrar.List().Where(registration => pattern.IsMatch(registration.Name))];
        return found.Length > 0 || WildcardPattern.ContainsWildcardCharacters(name)
            ? found
            : throw new UblkException(UblkError.RegistrationNotFound,
                $"There is no registration '{name}'. List the registrations: Get-UblkRegistration");
    }
}
