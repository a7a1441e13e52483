using System.Management.Automation;
using Ublk.Measuring;

namespace Ublk.PowerShell.Commands;

/// <summary>Gets the counters of devices as metrics for Prometheus.</summary>
[Cmdlet(VerbsCommon.Get, "UblkMetric", DefaultParameterSetName = "Id")]
[OutputType(typeof(string))]
public sealed class GetUblkMetricCommand : UblkCountersCommand
{
    /// <inheritdoc/>
    protected override void EndProcessing() => WriteObject(PrometheusText.Write(Devices), enumerateCollection: true);
}
