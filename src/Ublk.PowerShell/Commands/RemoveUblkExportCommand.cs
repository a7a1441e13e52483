using System.Management.Automation;
using Ublk.Exports;

namespace Ublk.PowerShell.Commands;

/// <summary>Ends exports.</summary>
[Cmdlet(VerbsCommon.Remove, "UblkExport", SupportsShouldProcess = true)]
public sealed class RemoveUblkExportCommand : UblkCommand
{
    /// <summary>The exports, by name.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(ExportCompleter))]
    [SupportsWildcards]
    public string[] Name { get; set; } = [];

    /// <summary>Ends an export although clients are connected.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (string pattern in Name)
        {
            Attempt(pattern, () =>
            {
                foreach (UblkExport export in ExportNames.Find(pattern))
                {
                    Attempt(export.Name, () => Remove(export));
                }
            });
        }
    }

    private void Remove(UblkExport export)
    {
        if (ShouldProcess($"{export.Name}, {export.Path}", "Remove export"))
        {
            WithProgress($"Removing export {export.Name}", step =>
            {
                step($"Ending the worker of export {export.Name}.");
                ExportManager.Remove(export.Name, Force, WriteWarning, StopToken);
            });
        }
    }
}
