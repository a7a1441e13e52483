using System.Management.Automation;

namespace PwshHost.Commands.Items;

[Cmdlet(VerbsCommon.New, "Item", SupportsShouldProcess = true)]
public sealed class NewItemCommand : PSCmdlet
{
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    public string[] Path { get; set; } = ["."];

    [Parameter(ValueFromPipelineByPropertyName = true)]
    public string? Name { get; set; }

    [Parameter]
    [Alias("Type")]
    public string ItemType { get; set; } = "File";

    [Parameter(ValueFromPipeline = true)]
    [Alias("Target")]
    public object? Value { get; set; }

    [Parameter]
    public SwitchParameter Force { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string path in Path)
        {
            try
            {
                WriteObject(InvokeProvider.Item.New([path], Name, ItemType, Value, Force), enumerateCollection: true);
            }
            catch (RuntimeException error) when (error is ItemNotFoundException or ProviderInvocationException)
            {
                WriteError(error.ErrorRecord);
            }
        }
    }
}
