using System.Management.Automation;

namespace PwshHost.Commands.Items;

[Cmdlet(VerbsCommon.Remove, "Item", DefaultParameterSetName = ByPath, SupportsShouldProcess = true)]
public sealed class RemoveItemCommand : PathCommand
{
    [Parameter]
    public SwitchParameter Recurse { get; set; }

    [Parameter]
    public SwitchParameter Force { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string path in Paths)
        {
            Try(() => InvokeProvider.Item.Remove([path], Recurse, Force, IsLiteral), path);
        }
    }
}
