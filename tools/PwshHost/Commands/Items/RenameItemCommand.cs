using System.Management.Automation;

namespace PwshHost.Commands.Items;

[Cmdlet(VerbsCommon.Rename, "Item", SupportsShouldProcess = true)]
public sealed class RenameItemCommand : PSCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("LiteralPath", "PSPath")]
    public string Path { get; set; } = string.Empty;

    [Parameter(Mandatory = true, Position = 1)]
    public string NewName { get; set; } = string.Empty;

    [Parameter]
    public SwitchParameter Force { get; set; }

    protected override void ProcessRecord() => InvokeProvider.Item.Rename(Path, NewName, Force);
}
