using System.Management.Automation;
using Ublk.Registration;

namespace Ublk.PowerShell.Commands;

/// <summary>Lets ordinary users, or a group of them, create devices of their own.</summary>
[Cmdlet(VerbsLifecycle.Install, "UblkUdevRule", SupportsShouldProcess = true)]
public sealed class InstallUblkUdevRuleCommand : UblkCommand
{
    private static string Source => Path.GetFullPath(Path.Combine(WorkerDirectory, "..", "udev", Path.GetFileName(UdevRules.Path)));

    /// <summary>The group whose members may create devices; by default every user may.</summary>
    [Parameter]
    public string? Group { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (ShouldProcess(UdevRules.Path, "Install udev rules"))
        {
            Require(UdevRules.Path, () => WithProgress("Install udev rules", step =>
            {
                step($"Writing {UdevRules.Path} and reloading the rules of udev.");
                UdevRules.Install(Source, Group, WorkerDirectory);
            }));
        }
    }
}
