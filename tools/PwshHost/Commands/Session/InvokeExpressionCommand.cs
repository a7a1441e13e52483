using System.Management.Automation;

namespace PwshHost.Commands.Session;

[Cmdlet(VerbsLifecycle.Invoke, "Expression")]
public sealed class InvokeExpressionCommand : PSCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true)]
    public string Command { get; set; } = string.Empty;

    protected override void ProcessRecord() =>
        WriteObject(InvokeCommand.InvokeScript(false, ScriptBlock.Create(Command), null), enumerateCollection: true);
}
