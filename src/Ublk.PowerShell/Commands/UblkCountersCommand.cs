using System.Management.Automation;
using Ublk.Devices;
using Ublk.Measuring;

namespace Ublk.PowerShell.Commands;

/// <summary>What the cmdlets have in common that read the counters of devices: how the user names the devices.</summary>
public abstract class UblkCountersCommand : UblkCommand
{
    private readonly SortedDictionary<int, DeviceCounters> _devices = [];

    /// <summary>Devices by id; by default all that a worker serves.</summary>
    [Parameter(Position = 0, ParameterSetName = "Id", ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(DeviceIdCompleter))]
    public int[]? Id { get; set; }

    /// <summary>Devices by the path of the block device, of its stable name, or of the file behind it.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "Path")]
    [ArgumentCompleter(typeof(DevicePatternCompleter))]
    [SupportsWildcards]
    public string[] Path { get; set; } = [];

    /// <summary>Devices by the same paths, without wildcards.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "LiteralPath")]
    [Alias("PSPath", "FullName")]
    [ArgumentCompleter(typeof(DevicePathCompleter))]
    public string[] LiteralPath { get; set; } = [];

    /// <summary>The latest counters of the devices.</summary>
    private protected IReadOnlyCollection<DeviceCounters> Devices => _devices.Values;

    /// <inheritdoc/>
    protected override void BeginProcessing() => RequireDriver();

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (ParameterSetName != "Id")
        {
            foreach (string path in ParameterSetName == "LiteralPath" ? LiteralPath : Path)
            {
                Attempt(path, () => Read(
                    DevicePaths.Find(SessionState, path, ParameterSetName == "LiteralPath").Select(device => device.Id)));
            }
        }
        else
        {
            Read(Id ?? DeviceInventory.List()
                .Where(device => device.Target is not null && device.State == DeviceState.Live).Select(device => device.Id));
        }
    }

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

    private void Read(IEnumerable<int> ids)
    {
        foreach (int id in ids)
        {
            Attempt(id, () => _devices[id] = DeviceCounters.Read(id));
        }
    }
}
