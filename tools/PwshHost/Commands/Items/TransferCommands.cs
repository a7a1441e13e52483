using System.Collections.ObjectModel;
using System.Management.Automation;

namespace PwshHost.Commands.Items;

/// <summary>Copying or moving items to a destination.</summary>
public abstract class TransferCommand : PathCommand
{
    [Parameter(Position = 1)]
    public string Destination { get; set; } = ".";

    [Parameter]
    public SwitchParameter Force { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string path in Paths)
        {
            Try(() => Write(Transfer(path)), path);
        }
    }

    private protected abstract Collection<PSObject> Transfer(string path);

    private void Write(Collection<PSObject> items)
    {
        if (PassThru)
        {
            WriteObject(items, enumerateCollection: true);
        }
    }
}

[Cmdlet(VerbsCommon.Copy, "Item", DefaultParameterSetName = ByPath, SupportsShouldProcess = true)]
public sealed class CopyItemCommand : TransferCommand
{
    [Parameter]
    public SwitchParameter Recurse { get; set; }

    private protected override Collection<PSObject> Transfer(string path) => InvokeProvider.Item.Copy(
        [path], Destination, Recurse, CopyContainers.CopyTargetContainer, Force, IsLiteral);
}

[Cmdlet(VerbsCommon.Move, "Item", DefaultParameterSetName = ByPath, SupportsShouldProcess = true)]
public sealed class MoveItemCommand : TransferCommand
{
    private protected override Collection<PSObject> Transfer(string path) =>
        InvokeProvider.Item.Move([path], Destination, Force, IsLiteral);
}
