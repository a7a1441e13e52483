using System.Management.Automation;
using Ublk.Devices;
using Ublk.Measuring;

namespace Ublk.PowerShell.Commands;

/// <summary>Gets the states and counters of devices as metrics for Prometheus.</summary>
[Cmdlet(VerbsCommon.Get, "UblkMetric", DefaultParameterSetName = "Id")]
[OutputType(typeof(string))]
public sealed class GetUblkMetricCommand : UblkDeviceQueryCommand
{
    private readonly SortedDictionary<int, UblkDevice> _devices = [];

    /// <inheritdoc/>
    protected override void BeginProcessing() => RequireDriver();

    /// <inheritdoc/>
    protected override void EndProcessing() => WriteObject(PrometheusText.Write(_devices.Values), enumerateCollection: true);

    /// <inheritdoc/>
    private protected override void Read(IEnumerable<int> ids)
    {
        foreach (int id in ids)
        {
            Attempt(id, () => _devices[id] = DeviceInventory.Get(id));
        }
    }

    /// <inheritdoc/>
    private protected override void ReadAll()
    {
        foreach (UblkDevice device in DeviceInventory.List())
        {
            _devices[device.Id] = device;
        }
    }
}
