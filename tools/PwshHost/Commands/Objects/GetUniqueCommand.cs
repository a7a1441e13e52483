using System.Management.Automation;

namespace PwshHost.Commands.Objects;

[Cmdlet(VerbsCommon.Get, "Unique")]
public sealed class GetUniqueCommand : PipelineCommand
{
    [Parameter]
    public SwitchParameter AsString { get; set; }

    protected override void EndProcessing()
    {
        var comparer = new ValueComparer(ignoreCase: false);
        PSObject? last = null;
        foreach (PSObject item in Items)
        {
            if (last is null || !comparer.Equals(AsString ? last.ToString() : last, AsString ? item.ToString() : item))
            {
                WriteObject(item);
            }

            last = item;
        }
    }
}
