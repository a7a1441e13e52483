using System.Diagnostics;
using System.Management.Automation;

namespace PwshHost.Commands.Session;

[Cmdlet(VerbsDiagnostic.Measure, "Command")]
public sealed class MeasureCommandCommand : PSCmdlet
{
    [Parameter(Mandatory = true, Position = 0)]
    public ScriptBlock? Expression { get; set; }

    protected override void EndProcessing()
    {
        long start = Stopwatch.GetTimestamp();
        InvokeCommand.InvokeScript(false, Expression!, null);
        WriteObject(Stopwatch.GetElapsedTime(start));
    }
}
