using System.Diagnostics;
using System.Management.Automation;
using Ublk.Control;
using Ublk.Devices;
using Ublk.Measuring;

namespace Ublk.PowerShell.Commands;

/// <summary>Measures devices: rates, latencies and sizes of requests.</summary>
[Cmdlet(VerbsDiagnostic.Measure, "UblkDevice", DefaultParameterSetName = "Id")]
[OutputType(typeof(UblkMeasurement), typeof(string))]
public sealed class MeasureUblkDeviceCommand : UblkCommand
{
    private readonly SortedDictionary<int, DeviceCounters> _devices = [];

    /// <summary>Devices by id; all that count by default.</summary>
    [Parameter(Position = 0, ParameterSetName = "Id", ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(DeviceIdCompleter))]
    public int[]? Id { get; set; }

    /// <summary>Devices by the path of the block device, of its stable name, or of the file behind it.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "Path")]
    [ArgumentCompleter(typeof(DevicePatternCompleter))]
    [SupportsWildcards]
    public string[] Path { get; set; } = [];

    /// <summary>Devices by the same paths, taken as they are.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "LiteralPath")]
    [Alias("PSPath", "FullName")]
    [ArgumentCompleter(typeof(DevicePathCompleter))]
    public string[] LiteralPath { get; set; } = [];

    /// <summary>Seconds that a measurement takes.</summary>
    [Parameter]
    [ValidateRange(0.01, 86400)]
    public double Duration { get; set; } = 1;

    /// <summary>Measures again and again, until the pipeline is stopped.</summary>
    [Parameter]
    public SwitchParameter Continuous { get; set; }

    /// <summary>Draws the measurements.</summary>
    [Parameter]
    public SwitchParameter Graph { get; set; }

    /// <summary>Emits the counters themselves, in Prometheus' text format, and measures nothing.</summary>
    [Parameter]
    public SwitchParameter Prometheus { get; set; }

    /// <inheritdoc/>
    protected override void BeginProcessing() => RequireDriver();

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (ParameterSetName != "Id")
        {
            foreach (string path in ParameterSetName == "LiteralPath" ? LiteralPath : Path)
            {
                Attempt(path, () =>
                {
                    foreach (UblkDevice device in DevicePaths.Find(SessionState, path, ParameterSetName == "LiteralPath"))
                    {
                        Attempt(device.Id, () => Look(device.Id));
                    }
                });
            }
        }
        else if (Id is null)
        {
            foreach (UblkDevice device in DeviceInventory.List()
                .Where(device => device.Target is not null && device.State == DeviceState.Live))
            {
                Attempt(device.Id, () => Look(device.Id));
            }
        }
        else
        {
            foreach (int id in Id)
            {
                Attempt(id, () => Look(id));
            }
        }
    }

    /// <inheritdoc/>
    protected override void EndProcessing()
    {
        if (Prometheus)
        {
            WriteObject(PrometheusText.Write(_devices.Values), enumerateCollection: true);
            return;
        }

        do
        {
            if (_devices.Count == 0 || !Wait())
            {
                return;
            }

            foreach (DeviceCounters earlier in _devices.Values.ToArray())
            {
                // One that went away is an error, and the others go on.
                _devices.Remove(earlier.Id);
                Attempt(earlier.Id, () => Write(Look(earlier.Id).Since(earlier)));
            }
        }
        while (Continuous);
    }

    // False when the pipeline is stopped.
    private bool Wait()
    {
        const double patience = 1;
        ProgressRecord progress = new(0, "Measuring ublk devices", " ");
        long start = Stopwatch.GetTimestamp();
        double left;
        while ((left = Duration - Stopwatch.GetElapsedTime(start).TotalSeconds) > 0)
        {
            if (Duration > patience)
            {
                progress.PercentComplete = (int)(100 * (1 - (left / Duration)));
                progress.SecondsRemaining = (int)Math.Ceiling(left);
                WriteProgress(progress);
            }

            if (StopToken.WaitHandle.WaitOne(TimeSpan.FromSeconds(Math.Min(left, patience))))
            {
                return false;
            }
        }

        if (Duration > patience)
        {
            progress.RecordType = ProgressRecordType.Completed;
            WriteProgress(progress);
        }

        return true;
    }

    private DeviceCounters Look(int id) => _devices[id] = DeviceCounters.Read(id);

    private void Write(UblkMeasurement measurement)
    {
        if (Graph)
        {
            WriteObject(MeasurementGraph.Draw(measurement), enumerateCollection: true);
        }
        else
        {
            WriteObject(measurement);
        }
    }
}
