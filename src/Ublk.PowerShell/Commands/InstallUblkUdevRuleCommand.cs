using System.Management.Automation;
using Ublk.Registration;

namespace Ublk.PowerShell.Commands;

/// <summary>Lets ordinary users make devices of their own.</summary>
[Cmdlet(VerbsLifecycle.Install, "UblkUdevRule", SupportsShouldProcess = true)]
public sealed class InstallUblkUdevRuleCommand : UblkCommand
{
    private static string Source => Path.GetFullPath(Path.Combine(WorkerDirectory, "..", "udev", Path.GetFileName(UdevRules.Path)));

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (ShouldProcess(UdevRules.Path, "Install udev rules"))
        {
            Require(UdevRules.Path, () => WithProgress("Install udev rules", step =>
            {
                step($"Writing {UdevRules.Path} and having udev apply it.");
                UdevRules.Install(Source, WorkerDirectory);
            }));
        }
    }
}
