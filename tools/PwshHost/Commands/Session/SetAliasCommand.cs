using System.Management.Automation;

namespace PwshHost.Commands.Session;

[Cmdlet(VerbsCommon.Set, "Alias")]
[Alias("New-Alias")]
public sealed class SetAliasCommand : PSCmdlet
{
    [Parameter(Mandatory = true, Position = 0)]
    public string Name { get; set; } = string.Empty;

    [Parameter(Mandatory = true, Position = 1)]
    public string Value { get; set; } = string.Empty;

    protected override void ProcessRecord() => InvokeProvider.Item.Set("Alias:" + Name, Value);
}
