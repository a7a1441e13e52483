using System.Management.Automation;

namespace Ublk.PowerShell.Commands;

/// <summary>What the cmdlets have in common that take a disk from its users: with -Force they ask.</summary>
public abstract class UblkForceCommand : UblkDeviceCommand
{
    private bool _yesToAll;
    private bool _noToAll;

    /// <summary>Does it to devices that are mounted, held or open.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    // To take a disk from its users is what a prompt is for by default, as with a ConfirmImpact of High; without -Force,
    // which refuses that, it is not. The attribute cannot distinguish them.
    /// <inheritdoc/>
    protected override bool ShouldApply(int id) =>
        !Force
        || MyInvocation.BoundParameters.ContainsKey("Confirm")
        || !string.Equals(GetVariableValue("ConfirmPreference")?.ToString(), nameof(ConfirmImpact.High), StringComparison.OrdinalIgnoreCase)
        || ShouldContinue(
            $"{Action} /dev/ublkb{id} although it may be in use? Its users lose what they have not written yet.",
            $"{Action} by force", ref _yesToAll, ref _noToAll);
}
