using System.Management.Automation;
using Ublk.Registration;

namespace Ublk.PowerShell.Commands;

/// <summary>Gets the devices that systemd creates at boot.</summary>
[Cmdlet(VerbsCommon.Get, "UblkRegistration")]
[OutputType(typeof(UblkRegistration))]
public sealed class GetUblkRegistrationCommand : UblkCommand
{
    /// <summary>Registrations by name; all by default.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(RegistrationCompleter))]
    [SupportsWildcards]
    public string[] Name { get; set; } = ["*"];

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (string name in Name)
        {
            Attempt(name, () => WriteObject(RegistrationNames.Find(name), enumerateCollection: true));
        }
    }
}
