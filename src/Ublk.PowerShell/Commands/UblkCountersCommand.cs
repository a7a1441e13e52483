using System.Management.Automation;
using Ublk.Devices;
using Ublk.Measuring;

namespace Ublk.PowerShell.Commands;

/// <summary>What the cmdlets have in common that read the counters of devices.</summary>
public abstract class UblkCountersCommand : UblkDeviceQueryCommand
{
    private readonly SortedDictionary<int, DeviceCounters> _devices = [];

    /// <summary>The latest counters of the devices.</summary>
    private protected IReadOnlyCollection<DeviceCounters> Devices => _devices.Values;

    /// <inheritdoc/>
    protected override void BeginProcessing() => RequireDriver();

    /// <summary>Reads the counters again, and returns what each device did since. A device that is gone is an error.</summary>
    private protected IEnumerable<UblkMeasurement> Measure()
    {
        List<UblkMeasurement> measurements = [];
        foreach (DeviceCounters earlier in _devices.Values.ToArray())
        {
            _devices.Remove(earlier.Id);
            Attempt(earlier.Id, () => measurements.Add((_devices[earlier.Id] = DeviceCounters.Read(earlier.Id)).Since(earlier)));
        }

        return measurements;
    }

    /// <summary>Waits. Returns false when the pipeline is stopped.</summary>
    private protected bool Wait(TimeSpan time) => !StopToken.WaitHandle.WaitOne(time);

    /// <inheritdoc/>
    private protected override void Read(IEnumerable<int> ids)
    {
        foreach (int id in ids)
        {
            Attempt(id, () => _devices[id] = DeviceCounters.Read(id));
        }
    }

    /// <inheritdoc/>
    private protected override void ReadAll() =>
        Read(DeviceInventory.List().Where(DeviceCounters.AreKeptFor).Select(device => device.Id));
}
