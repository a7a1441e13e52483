using System.Management.Automation;
using Ublk.Registration;

namespace Ublk.PowerShell.Commands;

/// <summary>Ends what Install-UblkUdevRule began: devices are root's again. Existing devices keep their owners.</summary>
[Cmdlet(VerbsLifecycle.Uninstall, "UblkUdevRule", SupportsShouldProcess = true)]
public sealed class UninstallUblkUdevRuleCommand : UblkCommand
{
    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (ShouldProcess(UdevRules.Path, "Uninstall udev rules"))
        {
            Require(UdevRules.Path, () => WithProgress("Uninstall udev rules", step =>
            {
                step($"Removing {UdevRules.Path} and reloading the rules of udev.");
                UdevRules.Uninstall();
            }));
        }
    }
}
