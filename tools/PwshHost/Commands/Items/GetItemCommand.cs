using System.Management.Automation;

namespace PwshHost.Commands.Items;

[Cmdlet(VerbsCommon.Get, "Item", DefaultParameterSetName = ByPath)]
public sealed class GetItemCommand : PathCommand
{
    [Parameter]
    public SwitchParameter Force { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string path in Paths)
        {
            Try(() => WriteObject(InvokeProvider.Item.Get([path], Force, IsLiteral), enumerateCollection: true), path);
        }
    }
}
