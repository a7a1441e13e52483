using System.Management.Automation;
using Ublk.Measuring;

namespace Ublk.PowerShell.Commands;

/// <summary>Formats measurements as histograms of latencies and sizes.</summary>
[Cmdlet(VerbsCommon.Format, "UblkMeasurement")]
[OutputType(typeof(string))]
public sealed class FormatUblkMeasurementCommand : PSCmdlet
{
    /// <summary>The measurements.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true)]
    public UblkMeasurement[] InputObject { get; set; } = [];

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (UblkMeasurement measurement in InputObject)
        {
            WriteObject(MeasurementGraph.Draw(measurement), enumerateCollection: true);
        }
    }
}
