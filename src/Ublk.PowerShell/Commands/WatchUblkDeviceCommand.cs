using System.Management.Automation;

namespace Ublk.PowerShell.Commands;

/// <summary>Shows the activity of devices live, as top(1) does for processes.</summary>
[Cmdlet(VerbsCommon.Watch, "UblkDevice", DefaultParameterSetName = "Id")]
[OutputType(typeof(string))]
public sealed class WatchUblkDeviceCommand : UblkCountersCommand
{
    // Moves to the first column of the first line; erases from there to the end of the screen (ECMA-48, CUP and ED).
    private const string Home = "\e[H\e[J";

    /// <summary>Seconds between two updates.</summary>
    [Parameter]
    [ValidateRange(0.1, 3600)]
    public double Interval { get; set; } = 1;

    /// <summary>The number of updates; by default it goes on until the pipeline is stopped.</summary>
    [Parameter]
    [ValidateRange(1, int.MaxValue)]
    public int Count { get; set; } = int.MaxValue;

    /// <inheritdoc/>
    protected override void EndProcessing()
    {
        ActivityTable table = new();
        for (int update = 0; update < Count && Devices.Count > 0 && Wait(TimeSpan.FromSeconds(Interval)); update++)
        {
            // Lines that go to a file or another command are text only.
            string home = Console.IsOutputRedirected ? "" : Home;
            WriteObject(home + string.Join(Environment.NewLine, table.Update(Measure())));
        }
    }
}
