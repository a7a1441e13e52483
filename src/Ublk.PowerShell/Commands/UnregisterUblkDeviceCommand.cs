using System.Management.Automation;
using Ublk.Registration;

namespace Ublk.PowerShell.Commands;

/// <summary>Removes the registrations of devices, so that systemd no longer creates them at boot.</summary>
[Cmdlet(VerbsLifecycle.Unregister, "UblkDevice", SupportsShouldProcess = true)]
[OutputType(typeof(UblkRegistration))]
public sealed class UnregisterUblkDeviceCommand : UblkCommand
{
    /// <summary>The registrations' names.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(RegistrationCompleter))]
    [SupportsWildcards]
    public string[] Name { get; set; } = [];

    /// <summary>Stops the unit and removes the device first. Without it a device that exists is an error.</summary>
    [Parameter]
    public SwitchParameter Stop { get; set; }

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
                foreach (UblkRegistration registration in RegistrationNames.Find(name))
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
                step($"Disabling {registration.Unit}.");
                DeviceRegistrar.Unregister(registration, Stop);
            });
            if (PassThru)
            {
                WriteObject(registration);
            }
        });
    }
}
