using System.Management.Automation;
using Ublk.Registration;

namespace Ublk.PowerShell.Commands;

/// <summary>Has systemd make devices no longer.</summary>
[Cmdlet(VerbsLifecycle.Unregister, "UblkDevice", SupportsShouldProcess = true)]
[OutputType(typeof(UblkRegistration))]
public sealed class UnregisterUblkDeviceCommand : UblkCommand
{
    /// <summary>The registrations' names.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(RegistrationCompleter))]
    [SupportsWildcards]
    public string[] Name { get; set; } = [];

    /// <summary>Stops units that run, and removes their devices.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <summary>Emits what the registrations were.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (string name in Name)
        {
            Attempt(name, () =>
            {
                foreach (UblkRegistration registration in Find(name))
                {
                    Unregister(registration);
                }
            });
        }
    }

    private void Unregister(UblkRegistration registration)
    {
        if (!ShouldProcess(registration.Name, "Unregister ublk device"))
        {
            return;
        }

        Attempt(registration.Name, () =>
        {
            WithProgress($"Unregister ublk device {registration.Name}", step =>
            {
                step($"Having systemd forget {registration.Unit}.");
                DeviceRegistrar.Unregister(registration, Force);
            });
            if (PassThru)
            {
                WriteObject(registration);
            }
        });
    }

    private static UblkRegistration[] Find(string name)
    {
        WildcardPattern pattern = new(name);
        UblkRegistration[] found = [.. DeviceRegistrar.List().Where(registration => pattern.IsMatch(registration.Name))];
        return found.Length > 0 || WildcardPattern.ContainsWildcardCharacters(name)
            ? found
            : throw new UblkException(UblkError.RegistrationNotFound, $"No ublk device is registered as {name}.");
    }
}
