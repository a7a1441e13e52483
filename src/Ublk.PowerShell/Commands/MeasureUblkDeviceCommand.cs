using System.Diagnostics;
using System.Management.Automation;
using Ublk.Measuring;

namespace Ublk.PowerShell.Commands;

/// <summary>Measures request rates, throughput, latencies and request sizes of devices.</summary>
[Cmdlet(VerbsDiagnostic.Measure, "UblkDevice", DefaultParameterSetName = "Id")]
[OutputType(typeof(UblkMeasurement))]
public sealed class MeasureUblkDeviceCommand : UblkCountersCommand
{
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromSeconds(1);

    /// <summary>Seconds that a measurement takes.</summary>
    [Parameter]
    [ValidateRange(0.01, 86400)]
    public double Duration { get; set; } = 1;

    /// <summary>Measures repeatedly, until the pipeline is stopped.</summary>
    [Parameter]
    public SwitchParameter Continuous { get; set; }

    /// <inheritdoc/>
    protected override void EndProcessing()
    {
        do
        {
            if (Devices.Count == 0 || !WaitWithProgress(TimeSpan.FromSeconds(Duration)))
            {
                return;
            }

            WriteObject(Measure(), enumerateCollection: true);
        }
        while (Continuous);
    }

    // False when the pipeline is stopped.
    private bool WaitWithProgress(TimeSpan duration)
    {
        if (duration <= ProgressInterval)
        {
            return Wait(duration);
        }

        ProgressRecord progress = new(0, "Measuring ublk devices", " ");
        long start = Stopwatch.GetTimestamp();
        TimeSpan left;
        while ((left = duration - Stopwatch.GetElapsedTime(start)) > TimeSpan.Zero)
        {
            progress.PercentComplete = (int)(100 * (1 - (left / duration)));
            progress.SecondsRemaining = (int)Math.Ceiling(left.TotalSeconds);
            WriteProgress(progress);
            if (!Wait(left < ProgressInterval ? left : ProgressInterval))
            {
                return false;
            }
        }

        progress.RecordType = ProgressRecordType.Completed;
        WriteProgress(progress);
        return true;
    }
}
