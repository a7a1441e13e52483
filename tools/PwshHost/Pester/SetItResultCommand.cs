using System.Management.Automation;

namespace PwshHost.Pester;

/// <summary>Ends the running test as skipped.</summary>
[Cmdlet(VerbsCommon.Set, "ItResult")]
public sealed class SetItResultCommand : PSCmdlet
{
    [Parameter(Mandatory = true)]
    public SwitchParameter Skipped { get; set; }

    [Parameter]
    public string? Because { get; set; }

    protected override void EndProcessing() =>
        throw Verdict.Create(Because ?? string.Empty, Verdict.Skipped);
}
