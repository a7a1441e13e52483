using System.Management.Automation;
using Ublk.Exports;

namespace Ublk.PowerShell.Commands;

/// <summary>Gets the exports of the calling user.</summary>
[Cmdlet(VerbsCommon.Get, "UblkExport")]
[OutputType(typeof(UblkExport))]
public sealed class GetUblkExportCommand : UblkCommand
{
    /// <summary>Exports by name; all by default.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(ExportCompleter))]
    [SupportsWildcards]
    public string[] Name { get; set; } = ["*"];

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (string name in Name)
        {
            Attempt(name, () => WriteObject(ExportNames.Find(name), enumerateCollection: true));
        }
    }
}
