using System.Diagnostics;
using System.Management.Automation;

namespace PwshHost.Commands.Processes;

[Cmdlet(VerbsCommon.Get, "Process", DefaultParameterSetName = "Name")]
public sealed class GetProcessCommand : ProcessCommand
{
    protected override void ProcessRecord() => WriteObject(Find(), enumerateCollection: true);
}

[Cmdlet(VerbsLifecycle.Stop, "Process", DefaultParameterSetName = "Id", SupportsShouldProcess = true)]
public sealed class StopProcessCommand : ProcessCommand
{
    [Parameter]
    public SwitchParameter Force { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void ProcessRecord()
    {
        foreach (Process process in Find())
        {
            if (!ShouldProcess($"{process.ProcessName} ({process.Id})"))
            {
                continue;
            }

            process.Kill();
            if (PassThru)
            {
                WriteObject(process);
            }
        }
    }
}

[Cmdlet(VerbsLifecycle.Wait, "Process", DefaultParameterSetName = "Name")]
public sealed class WaitProcessCommand : ProcessCommand
{
    /// <summary>Seconds; without it the wait has no end.</summary>
    [Parameter(Position = 1)]
    [Alias("TimeoutSec")]
    public int? Timeout { get; set; }

    protected override void ProcessRecord()
    {
        foreach (Process process in Find())
        {
            if (!process.WaitForExit(Timeout is { } seconds ? TimeSpan.FromSeconds(seconds) : System.Threading.Timeout.InfiniteTimeSpan))
            {
                WriteError(new ErrorRecord(
                    new TimeoutException($"Process \"{process.ProcessName} ({process.Id})\" did not stop in {Timeout} s."),
                    "ProcessNotTerminated",
                    ErrorCategory.CloseError,
                    process));
            }
        }
    }
}
