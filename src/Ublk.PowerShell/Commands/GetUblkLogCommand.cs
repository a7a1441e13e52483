using System.Management.Automation;
using Ublk.Logging;

namespace Ublk.PowerShell.Commands;

/// <summary>Shows what the workers of devices wrote to the log.</summary>
[Cmdlet(VerbsCommon.Get, "UblkLog")]
[OutputType(typeof(UblkLogEntry))]
public sealed class GetUblkLogCommand : UblkCommand
{
    /// <summary>Devices by id; all by default, those that are gone included.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(DeviceIdCompleter))]
    public int[]? Id { get; set; }

    /// <summary>The time of the first line.</summary>
    [Parameter]
    public DateTime? Since { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (int? id in Id?.Cast<int?>() ?? [null])
        {
            Attempt(id, () => WriteObject(DeviceLog.Read(id, Since), enumerateCollection: true));
        }
    }
}
