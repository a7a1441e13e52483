using System.Management.Automation;

namespace PwshHost.Commands.Objects;

[Cmdlet("Tee", "Object")]
public sealed class TeeObjectCommand : PipelineCommand
{
    [Parameter(Mandatory = true, Position = 0, ParameterSetName = "File")]
    public string FilePath { get; set; } = string.Empty;

    [Parameter(ParameterSetName = "File")]
    public SwitchParameter Append { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "Variable")]
    public string Variable { get; set; } = string.Empty;

    protected override void ProcessRecord()
    {
        base.ProcessRecord();
        WriteObject(InputObject);
    }

    protected override void EndProcessing()
    {
        if (ParameterSetName == "Variable")
        {
            SessionState.PSVariable.Set(Variable, Items.Count == 1 ? Items[0] : Items.ToArray());
        }
        else
        {
            InvokeCommand.InvokeScript(
                false, ScriptBlock.Create("param($path, $append) $input | Out-File -FilePath $path -Append:$append"), Items, FilePath, Append);
        }
    }
}
